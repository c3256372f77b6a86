"""Both ways of the hot path in one process: what one does, the other has to do."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from fastlb import _native, kernel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType
    from typing import Any

try:
    from fastlb import _speedups
except ImportError:
    TWINS: tuple[ModuleType, ...] = (_native,)
else:
    TWINS = (_native, _speedups)

HOT_PATH = [name for name, each in vars(kernel).items() if callable(each) and not name.startswith("_")]
PARTS = {twin: {name: getattr(twin, name) for name in HOT_PATH} for twin in TWINS}


@contextmanager
def chosen(twin: ModuleType) -> Iterator[None]:
    """Put ``twin`` in the kernel's place."""
    before = {name: getattr(kernel, name) for name in HOT_PATH}
    try:
        vars(kernel).update(PARTS[twin])
        yield
    finally:
        vars(kernel).update(before)


def agreed(function: Callable[..., Any], *arguments: Any, allowed: tuple[type[Exception], ...]) -> Any:
    """Return what ``function`` returns with either twin, None if it raises what is ``allowed``, with either alike."""
    outcomes = []
    for twin in TWINS:
        with chosen(twin):
            try:
                outcomes.append(function(*arguments))
            except allowed as error:
                outcomes.append((type(error), str(error)))
    assert all(repr(other) == repr(outcomes[0]) for other in outcomes), outcomes
    failed = isinstance(outcomes[0], tuple) and outcomes[0] and isinstance(outcomes[0][0], type)
    return None if failed else outcomes[0]
