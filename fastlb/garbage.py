"""What becomes of memory that nobody needs any more.

Python looks for garbage cycles when nobody waits, and only among what is new.

The cluster is some hundred thousand objects without cycles. Left to itself Python looks at all of them again and again
while they are made, which costs more than making them, and later in the middle of a change. So it does not look by
itself; the loop has it look now and then, and what it has seen once is not looked at again.

A large block, an answer about all apps above all, is given back to the system as soon as it is free. By itself glibc
learns from the first such block to keep so much for the next, at the end of a heap that small blocks then pin.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc

LARGE_BYTES = 1024 * 1024
_M_MMAP_THRESHOLD = -3  # of malloc.h


def look_on_demand() -> None:
    """Have garbage cycles collected by `look` alone."""
    gc.disable()


def look() -> None:
    """Collect garbage cycles among the objects that are new since the last look."""
    gc.collect()
    gc.freeze()


def give_back_large_blocks() -> None:
    """Have blocks of `LARGE_BYTES` and more given back at once, from now on; without glibc this changes nothing."""
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
