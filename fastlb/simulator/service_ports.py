"""Service ports for the zeros of a definition, as Marathon chooses them (MARATHON.md 4.3).

Pure. Marathon does not keep ports unique across apps: only what it chooses itself avoids what is in use.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

from fastlb.simulator.refusals import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

    from fastlb.simulator.definitions import Definition

FIRST_PORT = 10000
LAST_PORT = 20000


def assign(wanted: Definition, former: Definition | None, used: AbstractSet[int]) -> Definition:
    """``wanted`` with every service port 0 replaced.

    First the app's own former ports that are in the range and not named anew, in order; then the lowest ports
    that no app uses. ``used`` holds the service ports of all apps. Raises Refusal (500) when the range is
    exhausted.
    """
    if 0 not in wanted.service_ports:
        return wanted
    candidates = chain(_former_ports(wanted, former), _free_ports(wanted, used))
    ports = [port if port.service_port else replace(port, service_port=next(candidates)) for port in wanted.ports]
    return replace(wanted, ports=tuple(ports))


def _former_ports(wanted: Definition, former: Definition | None) -> Iterator[int]:
    named = set(wanted.service_ports)
    for port in dict.fromkeys(former.service_ports if former else ()):
        if FIRST_PORT <= port <= LAST_PORT and port not in named:
            yield port


def _free_ports(wanted: Definition, used: AbstractSet[int]) -> Iterator[int]:
    named = set(wanted.service_ports)
    for port in range(FIRST_PORT, LAST_PORT + 1):
        if port not in used and port not in named:
            yield port
    raise Refusal(500, f"All ports in the range {FIRST_PORT}-{LAST_PORT} are already in use")
