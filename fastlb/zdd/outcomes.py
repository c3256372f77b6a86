"""How a deployment can end: the exit codes, and the exception that carries one with its sentence (COMPAT.md 9.6).

Codes up to 9 are those of marathon-lb's zdd; those from 10 on name what its users could only guess.
"""

from __future__ import annotations

from enum import IntEnum

from fastlb.errors import FastlbError


class Code(IntEnum):
    """Exit codes of ``fastlb zdd``; docs/zdd.md shows a run of each."""

    DONE = 0
    DECLINED = 1
    UNEXPECTED = 2
    NO_SPLIT = 3
    DEFINITION = 4
    BALANCER = 5
    READ = 6
    CREATE = 7
    DELETE = 8
    CHANGE = 9
    NOT_DRAINED = 10
    NOT_HEALTHY = 11
    ROLLED_BACK = 12
    GROUP = 13
    TAKEN = 14


class ZddError(FastlbError):
    """The deployment ends here, with this code; the message says what was wrong and what stands now."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
