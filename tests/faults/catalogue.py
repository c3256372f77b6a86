"""The table of faults: each names itself, says what an operator may expect, and is injected into a scene of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fastlb.simulator.settings import SimulatorSettings
from tests.faults.scene import scene_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.report import Row
    from tests.faults.scene import Scene

    Happening = Callable[[Scene], None]

ORDINARY = SimulatorSettings()


class Fault(NamedTuple):
    """``why_not`` says what is missing on this machine, if anything."""

    name: str
    happens: Happening
    settings: SimulatorSettings
    why_not: Callable[[], str]

    @property
    def id(self) -> str:
        """Return the name for a command line."""
        return self.happens.__name__

    def run(self, folder: Path) -> Row:
        """Have it happen to a scene in ``folder``, which has to be short; return what it cost."""
        with scene_for(self.name, folder, self.settings) as scene:
            self.happens(scene)
        return scene.row


FAULTS: list[Fault] = []


def fault(
    name: str, *, settings: SimulatorSettings = ORDINARY, why_not: Callable[[], str] = lambda: ""
) -> Callable[[Happening], Happening]:
    """Enter a function in the table."""

    def enter(happens: Happening) -> Happening:
        FAULTS.append(Fault(name, happens, settings, why_not))
        return happens

    return enter
