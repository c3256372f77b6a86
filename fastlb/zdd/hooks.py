"""Programs that a user has run at points of a deployment, with what they are told as JSON (COMPAT.md 9.5).

It must not know what they are for. A hook that fails or hangs ends the run with nothing half done; what it prints goes
to standard error, since standard output may be a pipeline's.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import orjson

from fastlb.zdd.outcomes import Code, ZddError

if TYPE_CHECKING:
    from collections.abc import Sequence

GRACE_S = 5.0
"""How long a hook that took too long has between SIGTERM and SIGKILL."""


def run_hook(path: str, values: Sequence[Any], limit_s: float) -> None:
    """Run a hook, each value an argument of JSON. Raises ZddError (UNEXPECTED) unless it exits with 0 in time."""
    words = [path, *(orjson.dumps(value).decode() for value in values)]
    try:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno(), start_new_session=True)
    except OSError as error:
        raise ZddError(Code.UNEXPECTED, f"hook {path} cannot be started: {error.strerror or error}") from error
    try:
        status = process.wait(limit_s)
    except subprocess.TimeoutExpired:
        raise ZddError(Code.UNEXPECTED, f"hook {path} did not end within {limit_s:g} s and was ended") from None
    finally:
        _end(process)
    if status:
        how = f"was ended by signal {-status}" if status < 0 else f"failed with exit status {status}"
        raise ZddError(Code.UNEXPECTED, f"hook {path} {how}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the hook with whatever it started, if it still runs."""
    if process.poll() is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
