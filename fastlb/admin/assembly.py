"""Puts together what can be looked at: the state, the table of apps, and who is asked for them.

It must not know what any of them shows. Imported only where an admin server is wanted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastlb.admin.app_list import AppList
from fastlb.admin.explaining import Explaining
from fastlb.admin.page import Page
from fastlb.admin.state import State, Watched
from fastlb.admin.views import Views
from fastlb.recent import Recent

if TYPE_CHECKING:
    from aiohttp import web

    from fastlb.admin.loop import Loop
    from fastlb.history import History
    from fastlb.journal import Journal
    from fastlb.marathon import MarathonClient
    from fastlb.metrics.state import Sources
    from fastlb.settings import Settings


def view_routes(
    settings: Settings, sources: Sources, journal: Journal, history: History, marathon: MarathonClient, loop: Loop
) -> list[web.RouteDef]:
    """Return the paths of what is looked at; what happens is kept for them from now on."""
    recent = Recent()
    journal.listen(recent.hear)
    watched = Watched(
        sources=sources,
        recent=recent,
        history=history,
        marathon=marathon,
        ours=settings.command is None,
        hung_after_s=settings.controller_timeout_s,
        synced_within_s=settings.synced_within_s,
    )
    apps = AppList(loop, sources.haproxy)
    state, explaining = State(watched, apps), Explaining(settings.paths, loop)
    return [*Views(state, apps).routes(), *Page(state, apps, explaining).routes()]
