"""One fastlb for each folder of configurations: the second is told, and does not start.

It must not know what lies in the folder. The kernel holds the claim for as long as the process lives and gives it up
whatever becomes of that; nothing is written, so that nothing is left.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fastlb.errors import HAProxyError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Have the folder for oneself; one that is not there, or cannot be looked into, is claimed by nobody.

    Raises HAProxyError if another process has it.
    """
    try:
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        yield
        return
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as reason:
        os.close(held)
        raise HAProxyError(f"another fastlb writes the files in {folder}; this one does not start") from reason
    try:
        yield
    finally:
        os.close(held)
