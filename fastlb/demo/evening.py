"""One run of the demo from beginning to end: stage, watch, view and tour wired, and how the process shall end."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastlb.demo.board import Board
from fastlb.demo.curls import examples
from fastlb.demo.interruption import Interrupted, Interruption
from fastlb.demo.ports import chosen_ports
from fastlb.demo.stage import open_stage
from fastlb.demo.tour import AT_ONCE, LEISURELY, Tour
from fastlb.demo.view import live_view
from fastlb.demo.watch import Watch
from fastlb.demo.words import in_columns, last_word, playbill, say, tell
from fastlb.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastlb.demo.ports import Ports
    from fastlb.demo.stage import Stage
    from fastlb.haproxy import HAProxy


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line asks for; ``ports`` by name."""

    haproxy: HAProxy
    ports: Mapping[str, int]
    seed: int
    once: bool

    @property
    def live(self) -> bool:
        """Whether somebody watches at a terminal."""
        return not self.once and sys.stdout.isatty()


def run_evening(wishes: Wishes) -> ExitCode:
    """Play one lap, or laps until Ctrl-C or SIGTERM; return how the process shall end. Raises FastlbError."""
    board = Board() if wishes.live else Board(tell)
    version = wishes.haproxy.version_text
    interrupted = False
    with Interruption() as interruption, chosen_ports(wishes.ports) as ports:
        say(f"HAProxy {version}, fastlb and a simulated Marathon start on loopback ...")
        with open_stage(wishes.haproxy, ports, wishes.seed) as stage:
            try:
                _perform(wishes, ports, stage, board, interruption)
            except Interrupted:
                interrupted = True
            if board.claims_failed:
                say(f"\nThe end of fastlb's log:\n{stage.last_words()}")
            say("\nHAProxy, fastlb and Marathon end ...")
    say(f"{last_word(board)}\nEverything that the demo started has ended; nothing is left.")
    failed = board.claims_failed > 0 or (wishes.once and interrupted)
    return ExitCode.FAILED if failed else ExitCode.OK


def _perform(wishes: Wishes, ports: Ports, stage: Stage, board: Board, interruption: Interruption) -> None:
    tour = Tour(stage, ports, board, interruption, LEISURELY if wishes.live else AT_ONCE)
    lines = examples(ports)
    with Watch(stage.journal, stage.master_socket, board):
        tour.open()
        bill = in_columns(playbill(wishes.haproxy, ports, lines))
        say(f"\n{bill}\n")
        if wishes.once:
            tour.try_lines(lines)
        view = live_view(board, wishes.haproxy, bill.count("\n") + 4) if wishes.live else nullcontext()
        with view:
            tour.play(wishes.seed, laps=1 if wishes.once else None)
