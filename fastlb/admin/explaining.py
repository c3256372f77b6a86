"""One app explained to whoever asks, as the loop and HAProxy know it now, or the ids that are most like one unknown.

app id --loop--> Explanation --HAProxy's `show stat`--> with servers;  --loop--> all ids --compare--> Unknown
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from fastlb.admin.kept import Modestly
from fastlb.admin.server_states import servers_now
from fastlb.errors import HAProxyError
from fastlb.explain import explain, unknown
from fastlb.explanation import Reason, Unknown

if TYPE_CHECKING:
    from fastlb.admin.loop import Loop
    from fastlb.explanation import Explanation
    from fastlb.questions import Known
    from fastlb.settings import Paths

LONGEST_ID = 2000  # characters
MOST_COMPARING = 3


class Explaining:
    """Asks the loop for an app, and HAProxy for its servers; used in one event loop only."""

    def __init__(self, paths: Paths, loop: Loop) -> None:
        self._paths = paths
        self._loop = loop
        self._modestly = Modestly()
        self._comparing = 0

    async def of(self, app_id: str) -> Explanation | Unknown | None:
        """Return what there is to say about an app; None for what can be no app's id. Raises LoopBusyError."""
        if not app_id or len(app_id) > LONGEST_ID:
            return None
        found = await self._loop.ask(partial(_explained, app_id))
        if found is None:
            return await self._unknown(app_id)
        return await asyncio.to_thread(self._with_servers, found)

    async def _unknown(self, app_id: str) -> Unknown:
        """Compare; while too many are being compared, it is only said that there is no such app."""
        if self._comparing >= MOST_COMPARING:
            return Unknown(app_id, ())
        self._comparing += 1
        try:
            known = await self._loop.ask(_ids)
            return await self._modestly.do(partial(unknown, app_id, known))
        finally:
            self._comparing -= 1

    def _with_servers(self, found: Explanation) -> Explanation:
        """Add what HAProxy says of the servers; that it cannot be asked is a problem like others."""
        backends = [service.backend for service in found.services if service.exposed]
        try:
            return replace(found, servers=servers_now(self._paths.runtime_socket, backends))
        except HAProxyError as error:
            problem = Reason("waiting", f"HAProxy does not say what it makes of its servers: {error}")
            return replace(found, problems=(*found.problems, problem))


def _explained(app_id: str, known: Known) -> Explanation | None:
    return explain(app_id, known.decider, known.running, known.history)


def _ids(known: Known) -> tuple[str, ...]:
    return tuple(app.id for app in known.decider.store.apps)
