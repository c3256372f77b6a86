"""All that crosses apps, decided where it can have changed: which services are written (COMPAT.md 3.10, 3.11, 6.2).

    forms of apps --families--> who is concerned --deployment--> processed apps --ports, services, filter--> Wanted

Kept by the id under which HAProxy knows an app, and brought up to date for the apps that changed: what one service has
to know of others (assigned ports, the health check port of a sibling, clashes of ports) is settled here, so that
rendering a service needs nothing but that service. A cluster from scratch is one in which every app has changed.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from fastlb.binds import Binds, overlap
from fastlb.claims import Claim, Claims, since
from fastlb.deployment import GROUP, merge_groups
from fastlb.errors import AppError, bug
from fastlb.families import Families
from fastlb.mesos import is_unasked_self
from fastlb.model import App, Note, Rules, Service
from fastlb.policy import Admitted, admitted, permitted
from fastlb.ports import Ask, Assignment
from fastlb.services import Surroundings, may_be_wanted, plain_services, services_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fastlb.model import Policy


class Wanted(NamedTuple):
    """What is wanted for one app: its services to write, in service order, and what is to be said about others."""

    services: tuple[Service, ...]
    notes: tuple[Note, ...]


class DesiredState(NamedTuple):
    """What should run: the services to write, in service order, and what is to be said about others."""

    services: tuple[Service, ...]
    notes: tuple[Note, ...]


NOTHING = Wanted((), ())


class Desired:
    """What should run, by the id under which HAProxy knows an app (mutable, no I/O)."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._families = Families()
        self._assignment = Assignment(rules.min_assigned_port, rules.max_assigned_port)
        self._wanted: dict[str, Wanted] = {}
        self._noted: dict[str, tuple[Note, ...]] = {}
        self._binds = Binds()
        self._admitted: dict[str, Admitted] = {}
        self._asked: dict[str, Wanted] = {}
        """What would be wanted if nobody else asked for it; only where apps that ask for the same are told apart."""
        self._claims = Claims()

    def use_policy(self, policy: Policy | None) -> None:
        """Go by another policy from now on; all apps have to be decided about again."""
        self._rules = replace(self._rules, policy=policy)

    @property
    def notes(self) -> list[Note]:
        """Return what is to be said, by app id."""
        return [
            *chain.from_iterable(notes for _, notes in sorted(self._noted.items())),
            *self._binds.notes(self.services),
        ]

    def services(self, known_as: str) -> tuple[Service, ...]:
        """Return the services to write of one app, in service order."""
        return self._wanted.get(known_as, NOTHING).services

    def notes_of(self, known_as: str) -> tuple[Note, ...]:
        """Return what is to be said about one app alone."""
        return self._noted.get(known_as, ())

    def members(self, known_as: str) -> list[App]:
        """Return the apps of Marathon that HAProxy knows under this id, in the form in use."""
        return self._families.members(known_as)

    def knows(self, app_id: str) -> bool:
        """Whether an app of Marathon is among the members of any."""
        return self._families.knows(app_id)

    def known_as(self, app_id: str) -> str:
        """Return the id under which HAProxy knows an app of Marathon."""
        return self._families.known_as(app_id)

    def processed(self, known_as: str) -> list[tuple[App, Sequence[int | None]]]:
        """Return the app that HAProxy knows under this id, its deployment group merged, with its service ports.

        An app of Marathon and a group may go by one id: then it is two. The framework's own app is none.
        """
        return self._with_ports(known_as, merge_groups(self._families.members(known_as))[0])

    def sharing(self, service: Service) -> list[str]:
        """Return the ids of all apps that have a service to write on the same address and port."""
        return self._binds.owners(service)

    def update(
        self,
        forms: Mapping[str, App | None],
        surroundings: Surroundings,
        *,
        moved: Iterable[str] = (),
        order: Sequence[str] | None = None,
    ) -> set[str]:
        """Decide again about apps that changed and those that this concerns; return the ids where it made a difference.

        Args:
            forms: apps in the form to use, None for those that are gone.
            surroundings: what is known now of host names and tasks.
            moved: ids of apps whose surroundings changed.
            order: Marathon's order of all apps, if it may have changed.

        """
        concerned = self._families.take(self._admit(forms)) | {self._families.known_as(app_id) for app_id in moved}
        if order is not None:
            concerned |= self._families.arrange(order) | self._assignment.askers
        decided = self._decide_plainly(sorted(concerned), surroundings)
        processed = {
            known_as: merge_groups(self._families.members(known_as)) for known_as in concerned - decided.keys()
        }
        for known_as in self._assign(processed):
            processed[known_as] = merge_groups(self._families.members(known_as))
        for known_as, (apps, notes) in processed.items():
            decided[known_as] = self._decide(known_as, apps, notes, surroundings)
        settled = self._settle(decided) if self._rules.first_come else decided
        return {known_as for known_as, wanted in settled.items() if self._put(known_as, wanted)}

    def _settle(self, decided: Mapping[str, Wanted]) -> dict[str, Wanted]:
        """Return what is wanted of all apps that this concerns, when each has what nobody older asks for."""
        self._asked |= decided
        claims = {
            known_as: Claim(since(known_as, self._families.members(known_as)), wanted.services)
            for known_as, wanted in decided.items()
        }
        granted = self._claims.settle(claims)
        settled = {each: Wanted(got.services, self._asked[each].notes + got.notes) for each, got in granted.items()}
        for known_as in (known_as for known_as, wanted in decided.items() if wanted == NOTHING):
            del self._asked[known_as]
        return settled

    def _admit(self, forms: Mapping[str, App | None]) -> Mapping[str, App | None]:
        """Return the forms without labels that the policy denies; remember what was denied."""
        if self._rules.policy is None and not self._admitted:
            return forms
        given: dict[str, App | None] = {}
        for app_id, form in forms.items():
            self._admitted.pop(app_id, None)
            given[app_id] = form
            if form is not None and self._rules.policy is not None:
                each = admitted(form, self._rules.policy)
                given[app_id] = each.app
                if each.app is not form:
                    self._admitted[app_id] = each
        return given

    def _permit(self, known_as: str, app: App, services: list[Service], notes: list[Note]) -> list[Service]:
        """Return what the policy lets through of an app that HAProxy knows under this id, and add what it says."""
        if self._rules.policy is None:
            return services
        grouped = app.labels.get(GROUP) is not None
        ids = [each.id for each in self._families.members(known_as) if (each.labels.get(GROUP) is not None) == grouped]
        denied = [self._admitted[app_id] for app_id in ids if app_id in self._admitted]
        barred = frozenset().union(*(each.barred for each in denied))
        notes += chain.from_iterable(each.notes for each in denied if may_be_wanted(each.app, self._rules))
        kept, said = permitted(services, ids, barred, self._rules.policy, self._rules)
        notes += said
        return kept

    def _assign(self, processed: Mapping[str, tuple[list[App], list[Note]]]) -> set[str]:
        """Have ports assigned; return the ids to decide about as well, since theirs are others now."""
        if not self._rules.assigns_ports:
            return set()
        for known_as, (apps, _) in processed.items():
            asking = [app for app in apps if _asks(app) and known_as[1:] != self._rules.framework_name]
            if asking or known_as in self._assignment:
                asks = (Ask(self._turn(known_as, app), app.discovery_ports or app.container_ports) for app in asking)
                self._assignment.ask(known_as, tuple(asks))
        return self._assignment.settle() - processed.keys()

    def _turn(self, known_as: str, app: App) -> tuple[int, int]:
        """Return when an app asks: those in no deployment group come first, groups by their first member."""
        if app.labels.get(GROUP) is None:
            return 0, self._families.place(app.id)
        grouped = (member for member in self._families.members(known_as) if member.labels.get(GROUP) is not None)
        return 1, min(self._families.place(member.id) for member in grouped)

    def _with_ports(self, known_as: str, apps: Iterable[App]) -> list[tuple[App, Sequence[int | None]]]:
        if known_as[1:] == self._rules.framework_name:
            return []
        given = iter(self._assignment.given(known_as))
        every = [(app, next(given) if self._rules.assigns_ports and _asks(app) else app.service_ports) for app in apps]
        return [(app, ports) for app, ports in every if not is_unasked_self(app.id, app.labels, self._rules.own_app)]

    def _decide_plainly(self, concerned: Iterable[str], surroundings: Surroundings) -> dict[str, Wanted]:
        """Decide about those apps that have to do with no other and of which there is nothing to say."""
        decided: dict[str, Wanted] = {}
        asking = self._assignment.askers
        for known_as in concerned:
            app = self._families.only_member(known_as)
            if app is not None and known_as not in asking:
                services = plain_services(app, self._rules, surroundings)
                if services is not None:
                    decided[known_as] = Wanted(services, ()) if services else NOTHING
        return decided

    def _decide(self, known_as: str, apps: list[App], notes: list[Note], surroundings: Surroundings) -> Wanted:
        every: list[Service] = []
        for app, ports in self._with_ports(known_as, apps):
            try:
                services, said = services_of(app, self._rules, ports, surroundings)
            except AppError as error:
                notes.append(Note(app.id, str(error), mistake=True))
            except Exception as error:  # noqa: BLE001 - one app must never cost the others anything
                notes.append(Note(app.id, bug(error), mistake=True))
            else:
                every += self._permit(known_as, app, services, notes)
                notes += said
        wanted = [service for service in every if service.options.enabled and is_taken(service, self._rules)]
        free, clashes = _without_own_ports(wanted, self._rules)
        free.sort(key=lambda service: service.port)
        placed, strayed = _with_indexed_ports(free, every)
        return Wanted(tuple(placed), (*notes, *clashes, *strayed))

    def _put(self, known_as: str, wanted: Wanted) -> bool:
        before = self._wanted.get(known_as, NOTHING)
        if wanted == before:
            return False
        self._binds.leave(before.services)
        self._binds.enter(wanted.services)
        if wanted == NOTHING:
            del self._wanted[known_as]
        else:
            self._wanted[known_as] = wanted
        if wanted.notes:
            self._noted[known_as] = wanted.notes
        elif before.notes:
            del self._noted[known_as]
        return True


def desired_state(apps: Iterable[App], rules: Rules, surroundings: Surroundings | None = None) -> DesiredState:
    """Decide what should run, given every app that Marathon knows, in Marathon's order."""
    desired = Desired(rules)
    by_id = {app.id: app for app in apps}
    found = desired.update(by_id, surroundings or Surroundings(), order=tuple(by_id))
    services = chain.from_iterable(desired.services(known_as) for known_as in sorted(found))
    return DesiredState(tuple(services), tuple(desired.notes))


def _asks(app: App) -> bool:
    """Whether service ports have to be assigned: it has an address per task, tasks, and declares none (3.4)."""
    return app.mode == "container" and not app.service_ports and bool(app.tasks)


def is_taken(service: Service, rules: Rules) -> bool:
    """Whether the groups of a service are among those that are wanted (COMPAT.md 3.11)."""
    return "*" in rules.groups or any(group in rules.groups for group in service.groups)


def _without_own_ports(services: Iterable[Service], rules: Rules) -> tuple[list[Service], list[Note]]:
    """Leave out services on a port that HAProxy's own sections bind; two binds of one port would share its traffic."""
    kept, notes = [], []
    for service in services:
        same = [address for address, port in rules.own_ports if port == service.port]
        if any(overlap(address, service.options.bind_address) for address in same):
            text = "this port is one of HAProxy's own (http, https, app ids or stats)"
            notes.append(Note(service.app_id, text, service.port, mistake=True))
        else:
            kept.append(service)
    return kept, notes


def _with_indexed_ports(services: Sequence[Service], every: Sequence[Service]) -> tuple[list[Service], list[Note]]:
    """Look up the health check ports that labels point to in sibling services (COMPAT.md 6.6, quirk 3)."""
    if all(service.options.health_port_index is None for service in services):
        return list(services), []
    placed, notes = [], []
    for service in services:
        if service.health_check is None or service.options.health_port_index is None:
            placed.append(service)
            continue
        ports, strayed = _indexed_ports(service, sorted(every, key=lambda each: each.port))
        placed.append(service._replace(indexed_ports=ports))
        if strayed:
            text = "label BACKEND_HEALTHCHECK_PORT_INDEX points to no server; health checks use the service's own port"
            notes.append(Note(service.app_id, text, service.port, left_out=False))
    return placed, notes


def _indexed_ports(service: Service, family: Sequence[Service]) -> tuple[tuple[int, ...], bool]:
    """Return the port per server position, and whether the label points to something that is not there."""
    own = tuple(server.port for server in service.servers)
    index = service.options.health_port_index
    if index is None or abs(index) > len(family):
        return own, False
    other = [server.port for server in family[index].servers] if index < len(family) else []
    return tuple(other[: len(own)]) + own[len(other) :], len(other) < len(own)
