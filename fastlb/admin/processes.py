"""HAProxy's processes, as `pidof haproxy` would list them: that is what zdd counts (COMPAT.md 8, 9.4).

More than two of them mean to zdd that a reload is going on: the master, the worker that serves, and an old one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil

from fastlb.errors import RuntimeApiError
from fastlb.external import workers_beside
from fastlb.master import Master
from fastlb.runtime_api import RuntimeApi

if TYPE_CHECKING:
    from fastlb.settings import Paths

TIMEOUT_S = 2.0


def haproxy_pids(paths: Paths) -> list[int]:
    """Return the pids of the worker that serves, of old ones, and of the master. Raises RuntimeApiError."""
    try:
        found = Master(paths.master_socket, timeout_s=TIMEOUT_S).processes()
    except RuntimeApiError:
        return _pids_beside(int(RuntimeApi(paths.runtime_socket, TIMEOUT_S).info()["Pid"]))
    serving = [found.serving.pid] if found.serving else []
    return [*serving, *(worker.pid for worker in found.not_serving), found.master.pid]


def _pids_beside(worker_pid: int) -> list[int]:
    """Return the pids of a HAProxy without a master's socket, by the worker that answers."""
    try:
        worker = psutil.Process(worker_pid)
        master = worker.parent()
        masters = [master.pid] if master is not None and master.name() == worker.name() else []
    except psutil.Error:
        masters = []
    return [worker_pid, *workers_beside(worker_pid), *masters]
