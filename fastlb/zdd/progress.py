"""What a run tells whoever watches: a live line for a person, JSON lines for a pipeline, little where nobody looks.

It must not know what comes next. Every happening has a name and a sentence. Standard output holds what the command is
asked for: the definition, or with JSON every line of it. For a person at a terminal the rest goes to standard error,
where one line shows how the present step stands; without a terminal it goes to the log, as INFO.
"""

from __future__ import annotations

import logging
import shutil
import sys
from datetime import UTC, datetime
from enum import StrEnum
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

if TYPE_CHECKING:
    from fastlb.zdd.machine import Scene

log = logging.getLogger(__name__)

CLEAR = "\r\x1b[K"


class Form(StrEnum):
    """How a run tells."""

    TEXT = "text"
    JSON = "json"


class Counts(NamedTuple):
    """How a deployment stands: tasks of both apps, how many are out of service but there, what these still hold."""

    new: int
    new_healthy: int
    old: int
    draining: int
    in_flight: int

    def __str__(self) -> str:
        """The counts in a few words."""
        return (
            f"{self.new_healthy}/{self.new} new, {self.old} old, {self.draining} draining, {self.in_flight} in flight"
        )


def counts_of(scene: Scene) -> Counts:
    """Count a scene."""
    tasks = [seen for task in (*scene.new.tasks, *scene.old.tasks) if (seen := scene.seen.tasks.get(task.id))]
    out = [task for task in tasks if task.is_marked]
    in_flight = sum(task.held for task in out)
    return Counts(scene.new.instances, scene.new.healthy, scene.old.instances, len(out), in_flight)


class Progress:
    """Tells; one for each run."""

    def __init__(self, form: Form) -> None:
        self._form = form
        self._live = form is Form.TEXT and sys.stderr.isatty()
        self._began_s = monotonic()
        self._last: tuple[str, Counts | None] = ("", None)

    def definition(self, definition: dict[str, Any]) -> None:
        """Show what is going to be posted, as marathon-lb's zdd prints it (COMPAT.md 9.2)."""
        if self._form is Form.JSON:
            self._line("definition", definition=definition)
        else:
            sys.stdout.write(
                orjson.dumps(definition, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2).decode() + "\n"
            )
            sys.stdout.flush()

    def say(self, happening: str, sentence: str, **facts: object) -> None:
        """Tell that something happened."""
        if self._form is Form.JSON:
            self._line(happening, message=sentence, **facts)
        elif self._live:
            sys.stderr.write(f"{CLEAR}{self._clock()} {sentence}\n")
        else:
            log.info("%s", sentence)

    def warn(self, sentence: str) -> None:
        """Tell of trouble that may pass."""
        if self._form is Form.TEXT and not self._live:
            log.warning("%s", sentence)
        else:
            self.say("trouble", sentence)

    def note(self, happening: str, sentence: str, **facts: object) -> None:
        """Tell what was asked for, or what the user should know beforehand: where nobody looks, too."""
        if self._form is Form.TEXT and not self._live:
            sys.stderr.write(f"{sentence}\n")
        else:
            self.say(happening, sentence, **facts)

    def show(self, sentence: str, counts: Counts) -> None:
        """Tell how the present step stands; the same is told once, but shown all the time."""
        changed, self._last = (sentence, counts) != self._last, (sentence, counts)
        if self._form is Form.JSON:
            if changed:
                self._line("status", message=sentence, **counts._asdict())
        elif self._live:
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write(CLEAR + f"{self._clock()} {counts}: {sentence}"[:width])
            sys.stderr.flush()
        elif changed:
            log.info("%s: %s", counts, sentence)

    def failed(self, code: int, message: str) -> None:
        """Tell, in any form, why the run ended with this exit code."""
        if self._form is Form.JSON:
            self._line("failed", message=message, code=code)
        sys.stderr.write(f"fastlb zdd: {message}\n")

    def close(self) -> None:
        """End the live line."""
        if self._live:
            sys.stderr.write(CLEAR)
            sys.stderr.flush()

    def ask(self, question: str) -> bool:
        """Return whether the user goes on; an empty answer means yes. Raises EOFError without an answer."""
        self.close()
        # With JSON standard output is not for people.
        stream = sys.stderr if self._form is Form.JSON else sys.stdout
        stream.write(question)
        stream.flush()
        answer = sys.stdin.readline()
        if not answer:
            raise EOFError
        return answer.strip().lower() in {"", "y", "yes"}

    def _line(self, happening: str, **facts: object) -> None:
        line = {"time": datetime.now(UTC), "event": happening, **facts}
        sys.stdout.write(orjson.dumps(line).decode() + "\n")
        sys.stdout.flush()

    def _clock(self) -> str:
        minutes, seconds = divmod(int(monotonic() - self._began_s), 60)
        return f"{minutes:3d}:{seconds:02d}"
