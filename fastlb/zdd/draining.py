"""What load balancers see of tasks: who is served, who is out, what is still held; whether all of them agree.

    BalancerSeen of each, where the tasks are --draining--> Verdict

Pure. It must not know how load balancers are asked, nor what follows from a verdict: whom to kill is for the machine.

A task is **up** in a load balancer if any of its servers there takes requests, in any worker of HAProxy; **out** if it
has servers and all are in maintenance; **absent** if it has none. Status ``DRAIN`` is up: clients with a cookie still
come. What a server holds counts wherever it is held.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from fastlb.kernel import clean, is_ipv4
from fastlb.reading import read_app
from fastlb.services import places_of
from fastlb.zdd.seen import OUT, TAKES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from fastlb.zdd.seen import BalancerSeen, ServerSeen

Place = tuple[str, int]
"""A host, as a load balancer may call it, and a port."""


class TaskSeen(NamedTuple):
    """One task in all load balancers; each of them is in exactly one of ``up``, ``out`` and ``absent``, by address.

    ``ready`` are those in which it takes requests: up, and not down by HAProxy's own checks. ``sessions`` and
    ``queued`` are the requests and connections that it still has, over all of them.
    """

    task_id: str
    up: tuple[str, ...]
    ready: tuple[str, ...]
    out: tuple[str, ...]
    absent: tuple[str, ...]
    sessions: int
    queued: int

    @property
    def is_out(self) -> bool:
        """Whether no load balancer gives it anything new: it is out, or none of them has it."""
        return not self.up

    @property
    def is_marked(self) -> bool:
        """Whether every load balancer has it, and has it out."""
        return not self.up and not self.absent

    @property
    def is_ready(self) -> bool:
        """Whether every load balancer gives it requests."""
        return bool(self.ready) and len(self.ready) == len(self.up) + len(self.out) + len(self.absent)

    @property
    def held(self) -> int:
        """How many requests and connections it still has."""
        return self.sessions + self.queued


class Verdict(NamedTuple):
    """All tasks asked about, and the addresses of load balancers with workers that nobody can look into."""

    tasks: Mapping[str, TaskSeen]
    unseen: tuple[str, ...]

    @property
    def agreed(self) -> bool:
        """Whether every load balancer has every task in the same state."""
        return all(sum(map(bool, (task.up, task.out, task.absent))) == 1 for task in self.tasks.values())

    def drained(self, task_ids: Iterable[str]) -> tuple[str, ...]:
        """Return those that every load balancer has out and none holds anything of; killing them costs nothing."""
        if self.unseen:
            return ()
        known = [self.tasks[task_id] for task_id in task_ids if task_id in self.tasks]
        return tuple(task.task_id for task in known if task.is_marked and task.held == 0)

    def ready(self, task_ids: Iterable[str]) -> tuple[str, ...]:
        """Return those that every load balancer gives requests."""
        return tuple(each for each in task_ids if each in self.tasks and self.tasks[each].is_ready)

    def held(self, task_ids: Iterable[str]) -> int:
        """Return how many requests and connections these still have."""
        return sum(self.tasks[each].held for each in task_ids if each in self.tasks)


def draining(seen: Sequence[BalancerSeen], places: Mapping[str, Collection[Place]]) -> Verdict:
    """Return what ``seen`` says of the tasks at these places, by task id; see `places_of_tasks`."""
    by_place: dict[Place, list[tuple[str, ServerSeen]]] = {}
    for balancer in seen:
        for server in balancer.servers:
            by_place.setdefault(_form((server.host, server.port)), []).append((balancer.address, server))
    addresses = [balancer.address for balancer in seen]
    tasks = {}
    for task_id, where in places.items():
        servers = [each for place in {_form(each) for each in where} for each in by_place.get(place, ())]
        tasks[task_id] = _task(task_id, addresses, servers)
    return Verdict(tasks, tuple(balancer.address for balancer in seen if balancer.unseen_workers))


def places_of_tasks(document: Mapping[str, Any], addresses: Mapping[str, str]) -> dict[str, frozenset[Place]]:
    """Return where load balancers have each task of an app, from its JSON with tasks, by the rules of the generator.

    ``addresses`` are those of hosts that are names. Raises AppError for an app that cannot be read.
    """
    app = read_app(document)
    places: dict[str, frozenset[Place]] = {}
    for task in app.tasks:
        found = places_of(app, task, addresses)
        named = {(f"{task.host}_{address}", port) for address, port in found if address != task.host}
        # The address of a host's name is known to the load balancer, which may differ; its name is not.
        hosts = {(task.host, port) for _, port in found} if app.mode != "container" else set()
        places[task.id] = frozenset(found | named | hosts)
    return places


def host_names(documents: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the hosts of tasks that are names, whose addresses `places_of_tasks` needs. Raises AppError."""
    tasks = [task for document in documents for task in read_app(document).tasks]
    return {task.host for task in tasks if task.host and not is_ipv4(task.host)}


def _form(place: Place) -> Place:
    """Return a place in the one form in which hosts, addresses and names of servers can be compared."""
    return clean(place[0]), place[1]


def _task(task_id: str, addresses: Sequence[str], servers: Sequence[tuple[str, ServerSeen]]) -> TaskSeen:
    has = {address for address, _ in servers}
    up = {address for address, server in servers if not server.status.startswith(OUT)}
    refused = {address for address, server in servers if not server.status.startswith(TAKES)}
    return TaskSeen(
        task_id,
        up=tuple(each for each in addresses if each in up),
        ready=tuple(each for each in addresses if each in up and each not in refused),
        out=tuple(each for each in addresses if each in has - up),
        absent=tuple(each for each in addresses if each not in has),
        sessions=sum(server.sessions for _, server in servers),
        queued=sum(server.queued for _, server in servers),
    )
