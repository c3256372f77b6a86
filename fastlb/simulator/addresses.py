"""Where tasks run: agents and container addresses in 127.0.0.0/8, and the host ports on them.

Pure bookkeeping: it opens nothing. A limited number of tasks gets addresses of its own; all further ones
share a small set, so that a cluster of many thousand tasks needs a few hundred listeners. Two tasks of one
app never share one.
"""

from __future__ import annotations

from itertools import count, cycle
from typing import TYPE_CHECKING
from zlib import crc32

from fastlb.simulator.definitions import Mode
from fastlb.simulator.state import Place

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from fastlb.simulator.definitions import Definition, Port

HOST_PORTS = range(31000, 32000)
SHARED_PORTS = range(30000, 31000)
SHARED_PORTS_PER_TASK = 8
SHARED_SPREAD = 16
"""Apps begin at this many different slots, so that not every app's first task has the same address."""


class Addresses:
    """Gives out places inside one 127.N.0.0/16 network."""

    def __init__(self, network: int, real_tasks: int, agents: tuple[str, ...] = (), agent_count: int = 32) -> None:
        """``network`` is N; ``real_tasks`` tasks get their own addresses; ``agents`` may name the hosts."""
        self.network = network
        self._real_left = real_tasks
        self._agents = agents or tuple(f"127.{network}.0.{number}" for number in range(1, agent_count + 1))
        self._next_agent = cycle(range(len(self._agents)))
        self._used: set[tuple[str, int]] = set()
        self._used_ips: set[str] = set()
        self._next_port = dict.fromkeys(self._agents, 0)
        self._ips: Iterator[str] = cycle(
            f"127.{network}.{third}.{fourth}" for third in range(100, 250) for fourth in range(1, 255)
        )

    def place(self, definition: Definition, taken: Collection[Place]) -> Place:
        """A place for one more task of an app whose other tasks hold ``taken``."""
        ports = [port for port in definition.ports if port.host_port is not None]
        fixed = [number for port in ports if (number := _fixed_port(definition, port))]
        if self._real_left > 0 or fixed or len(definition.ports) > SHARED_PORTS_PER_TASK:
            return self._own_place(definition, ports, fixed)
        return self._shared_place(definition, len(ports), taken)

    def release(self, place: Place) -> None:
        """The task at ``place`` is gone."""
        if place.slot is None:
            self._real_left += 1
            self._used.difference_update((place.host, port) for port in place.host_ports)
            self._used_ips.discard(place.ip)

    def _own_place(self, definition: Definition, ports: list[Port], fixed: list[int]) -> Place:
        self._real_left -= 1
        agent = self._agent_with(fixed)
        host = self._agents[agent]
        host_ports = tuple(_fixed_port(definition, port) or self._free_port(host) for port in ports)
        self._used.update((host, port) for port in host_ports)
        return self._finished(definition, agent, host_ports, self._free_ip(), None)

    def _agent_with(self, fixed: list[int]) -> int:
        for _ in self._agents:
            agent = next(self._next_agent)
            if not any((self._agents[agent], port) in self._used for port in fixed):
                return agent
        return next(self._next_agent)

    def _free_port(self, host: str) -> int:
        for _ in HOST_PORTS:
            port = HOST_PORTS[self._next_port[host] % len(HOST_PORTS)]
            self._next_port[host] += 1
            if (host, port) not in self._used:
                self._used.add((host, port))
                return port
        raise RuntimeError(f"agent {host} has no port left in {HOST_PORTS}; lower the number of real servers")

    def _free_ip(self) -> str:
        ip = next(ip for ip in self._ips if ip not in self._used_ips)
        self._used_ips.add(ip)
        return ip

    def _shared_place(self, definition: Definition, host_ports: int, taken: Collection[Place]) -> Place:
        held = {place.slot for place in taken}
        first = crc32(definition.id.encode()) % SHARED_SPREAD
        slot = next(number for number in count(first) if number not in held)
        row, agent = divmod(slot, len(self._agents))
        start = SHARED_PORTS.start + row * SHARED_PORTS_PER_TASK
        third, fourth = divmod(slot, 254)
        ip = f"127.{self.network}.{60 + third}.{1 + fourth}"
        return self._finished(definition, agent, tuple(range(start, start + host_ports)), ip, slot)

    def _finished(
        self, definition: Definition, agent: int, host_ports: tuple[int, ...], ip: str, slot: int | None
    ) -> Place:
        host = self._agents[agent]
        listens = [(host, port) for port in host_ports]
        if definition.mode is Mode.CONTAINER:
            listens += [(ip, number) for number in _container_ports(definition, host_ports) if number]
        return Place(host, f"sim-agent-S{agent}", host_ports, ip, tuple(dict.fromkeys(listens)), slot)


def _fixed_port(definition: Definition, port: Port) -> int:
    """The host port that the definition insists on, or 0."""
    if definition.mode is Mode.HOST:
        return port.service_port if definition.require_ports else 0
    return port.host_port or 0


def _container_ports(definition: Definition, host_ports: tuple[int, ...]) -> list[int]:
    """Container ports as they come out: 0 beside a host port means that number (MARATHON.md 3.4)."""
    remaining = iter(host_ports)
    found = []
    for port in definition.ports:
        host_port = next(remaining) if port.host_port is not None else 0
        found.append(port.container_port or host_port)
    return found
