"""What the running HAProxy has: the document it was loaded with, changed live since, and servers on their way out.

    loaded --> Running <-- changed live, stopped --> what `diff` compares with the desired document

Mutable, without I/O. It moves only on HAProxy's own answer: whoever carries something out tells the outcome. A doubt
makes the document unknown, and only a reload makes it known again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastlb.leaving import Leaving
from fastlb.live import names_at, stop
from fastlb.servers import Defaults, read_backend, read_defaults

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from fastlb.capabilities import Capabilities
    from fastlb.commands import Command
    from fastlb.document import Document
    from fastlb.layout import Written
    from fastlb.live import Change
    from fastlb.servers import Backend

NEVER_LOADED = "HAProxy is given its first configuration"


class Running:
    """The state of the running HAProxy, as far as it is known.

    ``finish_within_s`` is how long connections may last on a server that left.
    """

    def __init__(self, finish_within_s: float) -> None:
        self.document: Document | None = None
        """What HAProxy has; None: unknown, because of `doubt`."""
        self.doubt = NEVER_LOADED
        self.capabilities: Capabilities | None = None
        """What it takes while it runs; None: nothing, because of `why_reloads_only`."""
        self.why_reloads_only = "no Runtime API has answered yet"
        self.head_values: Mapping[str, int | bool] = {}
        """What its head says that depends on the size of the document."""
        self.leaving = Leaving(finish_within_s)
        self.stopped: set[str] = set()
        """Ids of the apps some of whose servers were stopped ahead of the document."""
        self._held: dict[str, dict[str, set[str]]] = {}
        """Servers that stay out, whatever is desired, until Marathon has answered: by app and backend."""
        self._defaults = Defaults()
        self._backends: dict[str, Backend] = {}
        """Those that HAProxy has otherwise than they are written in `document`."""

    def loaded(self, document: Document) -> None:
        """Learn that a new worker was loaded with ``document``; what was live before is in its files, or gone."""
        self.document, self.doubt = document.copy(), ""
        self.head_values = document.head_values
        self._defaults = read_defaults(document.rendering().head)
        self._backends.clear()
        self.stopped = set(self._held)
        self.leaving.forget()

    def unknown(self, doubt: str) -> None:
        """Learn that nobody knows what HAProxy has."""
        self.document, self.doubt = None, doubt

    def backend(self, written: Written) -> Backend:
        """Return a backend as HAProxy has it, by what is written of it in `document`."""
        known = self._backends.get(written.service.backend)
        return self.backend_of(written) if known is None else known

    def backend_of(self, written: Written) -> Backend:
        """Return a backend as it is written."""
        fragment = written.fragment
        return read_backend(written.service.backend, fragment.backend, fragment.servers, self._defaults)

    def wanted(self, written: Written) -> Backend:
        """Return a backend as HAProxy should have it: what was stopped stays out for now, unless nothing were left."""
        backend = self.backend_of(written)
        held = self._held.get(written.service.app_id, {}).get(backend.name, set())
        out = {name: server._replace(disabled=True) for name, server in backend.servers.items() if name in held}
        servers = {**backend.servers, **out}
        return backend._replace(servers=servers) if any(not each.disabled for each in servers.values()) else backend

    def changed(self, desired: Document, app_ids: Collection[str], changes: Iterable[Change], now_s: float) -> None:
        """Learn that HAProxy has done ``changes``, which lead these apps to what is desired."""
        if self.document is None:
            return
        self.document.follow(desired, app_ids)
        self.stopped.difference_update(set(app_ids) - self._held.keys())
        for app_id in app_ids:
            for written in desired.part(app_id).written:
                self._remember(written)
        self.heard(changes, now_s)

    def _remember(self, written: Written) -> None:
        """Keep a backend only where HAProxy has something else than is written; all others are read when needed."""
        name = written.service.backend
        if self._held.get(written.service.app_id, {}).get(name):
            self._backends[name] = self.wanted(written)
        else:
            self._backends.pop(name, None)

    def heard(self, changes: Iterable[Change], now_s: float) -> None:
        """Learn which servers left and which came back."""
        delete_after_s = self.capabilities.delete_after_s if self.capabilities is not None else 0.0
        for change in changes:
            for name in change.returns:
                self.leaving.stay(change.backend, name)
            for server in change.leaves:
                self.leaving.begin(change.backend, server, now_s, delete_after_s)

    def stop(self, app_id: str, places: Collection[tuple[str, int]]) -> tuple[dict[str, Backend], list[Command]]:
        """Return what takes the servers at these addresses and ports out, and the backends as they are afterwards.

        Not the last ones of a backend: in a deployment those that replace them are there already, and are known with
        the next answer.
        """
        stopped: dict[str, Backend] = {}
        commands: list[Command] = []
        if self.document is None or self.capabilities is None:
            return stopped, commands
        for written in self.document.part(app_id).written:
            backend = self.backend(written)
            names = names_at(backend, places)
            serving = {name for name, server in backend.servers.items() if not server.disabled}
            more, after = stop(backend, names)
            if more and not backend.unfit and serving - set(names):
                commands += more
                stopped[backend.name] = after
        return stopped, commands

    def have_stopped(self, app_id: str, backends: Mapping[str, Backend]) -> None:
        """Learn that servers of an app are out, as `stop` said."""
        self._backends.update(backends)
        self.stopped.add(app_id)
        held = self._held.setdefault(app_id, {})
        for name, backend in backends.items():
            held[name] = {server.name for server in backend.servers.values() if server.disabled}

    def settle(self, app_id: str) -> None:
        """Learn that what is desired of an app is newer than what was stopped of it."""
        self._held.pop(app_id, None)
