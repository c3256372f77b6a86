"""Why HAProxy was reloaded, in one of a few words: the sentences of a plan, sorted into classes.

Pure. The sentences are those of `diff`, `rollout` and `running`; a test makes each of them there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

OTHER = "other"
CLASSES = {
    "start": r"HAProxy is given its first configuration",
    "doubt": r"what HAProxy has is not known|HAProxy was started again|HAProxy could not load",
    "signal": r"SIGUSR1$",
    "service_new": r"new backend \S+ \(app \S+\)$",
    "service_gone": r"backend \S+ \(app \S+\) is gone$",
    "labels": r"the labels of backend|what is written for backend",
    "servers": r"backend \S+ \(app \S+\)(: | has \d+ server)",
    "size": r"the head follows the size",
    "map": r"the name of the map|the entry .* cannot be written in a command",
}
"""The beginning of each class's sentences, as patterns; the first that fits counts."""

_PATTERNS = {name: re.compile(pattern) for name, pattern in CLASSES.items()}


def reason_classes(reasons: Iterable[str]) -> set[str]:
    """Return the classes of the reasons for one reload."""
    return {next((name for name, pattern in _PATTERNS.items() if pattern.match(text)), OTHER) for text in reasons}
