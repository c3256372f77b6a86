"""Plays the scenario on the stage and checks what it says, lap by lap.

Each step: who answers now, act, ask until the claim holds or its time is up. A probe meanwhile gives the time from
event to traffic; the event is that the task that answers became ready, or the act itself if that came later.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import TYPE_CHECKING

from fastlb.demo.apps import STEADY_HOST
from fastlb.demo.board import milliseconds
from fastlb.demo.claims import Sighting, ready_at_s
from fastlb.demo.front import Request, ask
from fastlb.demo.load import Load
from fastlb.demo.probe import Probe
from fastlb.demo.scenario import lap, steady_claim
from fastlb.errors import FastlbError
from fastlb.simulator.refusals import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastlb.demo.board import Board
    from fastlb.demo.claims import Claim
    from fastlb.demo.curls import Example
    from fastlb.demo.front import Answer
    from fastlb.demo.interruption import Interruption
    from fastlb.demo.ports import Ports
    from fastlb.demo.scenario import Step
    from fastlb.demo.stage import Stage
    from fastlb.simulator.definitions import Json

START_WITHIN_S = 30.0
CLAIM_WITHIN_S = 15.0
ANSWER_WITHIN_S = 1.0
ASK_EVERY_S = 0.01
REQUESTS_PER_TASK = 4
FEWEST_REQUESTS = 4


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a viewer gets to read, in seconds."""

    before_act_s: float = 0.0
    after_claim_s: float = 0.0


LEISURELY = Pace(before_act_s=1.5, after_claim_s=3.5)
AT_ONCE = Pace(after_claim_s=0.3)
"""So that what a step led to is told before the next one."""


class Tour:
    """Every wait raises Interrupted when the end is wanted, and FastlbError when fastlb has ended by itself."""

    def __init__(self, stage: Stage, ports: Ports, board: Board, interruption: Interruption, pace: Pace) -> None:
        self._stage = stage
        self._ports = ports
        self._board = board
        self._interruption = interruption
        self._pace = pace

    def open(self) -> None:
        """Wait until HAProxy serves the first apps. Raises FastlbError if it does not."""
        claim = steady_claim()
        self._board.begin("Curtain up", "Marathon, fastlb and HAProxy start.", claim.text)
        with Probe(self._request(claim), before=frozenset()) as probe:
            doubt = self._ask_until(claim, START_WITHIN_S, probe)
        self._board.judge(doubt)
        if doubt:
            raise FastlbError(f"HAProxy does not serve after {START_WITHIN_S:g} s: {doubt}\n{self._stage.last_words()}")

    def try_lines(self, examples: Iterable[Example]) -> None:
        """Carry out every printed curl line."""
        self._board.begin("Printed lines", "Each curl line above is carried out.", "")
        for example in examples:
            self._interruption.pause(0.0)
            self._board.now.claim = f"the {example.title} line prints what it should"
            self._board.judge(example.doubt())

    def play(self, seed: int, laps: int | None) -> None:
        """Play so many laps, or laps for ever."""
        random = Random(seed)
        steady = Request(self._ports.http, (("Host", STEADY_HOST),))
        for number in count() if laps is None else range(laps):
            with Load(steady, self._board):
                steps = lap(number, self._ports.services, random)
                for position, step in enumerate(steps, start=1):
                    self._play_step(step, f"{position}/{len(steps)} {step.title}")
            self._judge_load()

    def _play_step(self, step: Step, title: str) -> None:
        claim, board = step.claim, self._board
        board.begin(title, step.said, claim.text)
        self._interruption.pause(self._pace.before_act_s)
        before = frozenset(answer.task for answer in self._answers(claim))
        acted_s = time.time()
        with Probe(self._request(claim), before) as probe:
            doubt = self._act(step) or self._ask_until(claim, CLAIM_WITHIN_S, probe)
        board.judge(doubt, self._measure(claim, probe.found, acted_s) if probe.found else "")
        self._interruption.pause(self._pace.after_claim_s)

    def _act(self, step: Step) -> str:
        """Act the step; say why that cannot be done, or ""."""
        try:
            step.act(self._stage.marathon)
        except (Refusal, LookupError) as error:  # the viewer has changed the cluster, too
            return f"Marathon cannot do that now: {error}"
        return ""

    def _measure(self, claim: Claim, newcomer: Answer, acted_s: float) -> str:
        """Note the time from event to traffic, and put it in words."""
        latency_s = newcomer.at_s - max(acted_s, self._ready_at_s(claim, newcomer))
        self._board.to_traffic.measured_s.append(latency_s)
        return f" (traffic {milliseconds(latency_s)} after the event)"

    def _ask_until(self, claim: Claim, limit_s: float, probe: Probe) -> str:
        """Ask until ``claim`` holds; return the doubt that is left, or ""."""
        deadline_s = time.monotonic() + limit_s
        while True:
            answers = self._answers(claim)
            for answer in answers:
                probe.consider(answer)
            seen = Sighting(answers, self._tasks(claim), self._board.quarantined, probe.before)
            doubt = claim.doubt(seen)
            if not doubt or time.monotonic() > deadline_s:
                return doubt
            self._stage.check()
            self._interruption.pause(ASK_EVERY_S)

    def _answers(self, claim: Claim) -> list[Answer]:
        """Return a round of answers; it ends with the first one that did not come."""
        answers: list[Answer] = []
        for _ in range(max(FEWEST_REQUESTS, REQUESTS_PER_TASK * claim.count)):
            answers.append(ask(self._request(claim), ANSWER_WITHIN_S))
            if not answers[-1].status:
                break
        return answers

    def _request(self, claim: Claim) -> Request:
        return Request(self._ports.http, (("Host", claim.host),))

    def _tasks(self, claim: Claim) -> list[Json]:
        try:
            return self._stage.marathon.tasks(claim.app_id)
        except Refusal:
            return []

    def _ready_at_s(self, claim: Claim, answer: Answer) -> float:
        return max((ready_at_s(task) for task in self._tasks(claim) if task["id"] == answer.task), default=0.0)

    def _judge_load(self) -> None:
        board = self._board
        said = f"{board.requests} requests went to {STEADY_HOST} meanwhile."
        board.begin("Steady load", said, "not one request of the steady load failed")
        board.judge(f"{board.failed_requests} failed" if board.failed_requests else "")
        self._interruption.pause(self._pace.after_claim_s)
