"""What is looked at: the state and the table of apps as JSON, for `fastlb top`, scripts, and whoever makes a page.

It must not know how anything is found out. Data flows: a request -> what was found out a moment ago -> JSON in which
everything that is not ASCII is escaped, so that nothing in it harms a terminal.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aiohttp import web

from fastlb.admin.answers import json_answer
from fastlb.admin.app_list import SHOWN, paged, select
from fastlb.admin.kept import Modestly

if TYPE_CHECKING:
    from aiohttp.web import Request, Response

    from fastlb.admin.app_list import AppList, Page, Row
    from fastlb.admin.state import State


class Views:
    """``/_fastlb/state`` (see `state`) and ``/_fastlb/apps?search=&show=&page=``."""

    def __init__(self, state: State, apps: AppList) -> None:
        self._state = state
        self._apps = apps
        self._modestly = Modestly()

    def routes(self) -> list[web.RouteDef]:
        """Return both paths with what answers them."""
        return [web.get("/_fastlb/state", self._answer_state), web.get("/_fastlb/apps", self._answer_apps)]

    async def _answer_state(self, _request: Request) -> Response:
        return json_answer(json.dumps(await self._state.get()) + "\n")

    async def _answer_apps(self, request: Request) -> Response:
        """Answer ``{found, page, pages, late, apps: [{id, vhosts, ports, services, up, draining, down, problem}]}``.

        ``services`` counts those that are exposed; up, draining and down are null if HAProxy does not say.
        """
        table = await self._apps.table()
        page = await self._modestly.do(lambda: page_asked_for(request, table.rows))
        apps = [_plain(row) for row in page.rows]
        found = {"found": page.found, "page": page.number, "pages": page.pages, "late": table.late, "apps": apps}
        return json_answer(json.dumps(found) + "\n")


def page_asked_for(request: Request, rows: tuple[Row, ...]) -> Page:
    """Return the page of the table that a request asks for; what makes no sense in it is left out of account."""
    number = request.query.get("page", "")
    chosen = select(rows, request.query.get("search", ""), shown_in(request))
    return paged(chosen, int(number) if number.isdecimal() and len(number) < 9 else 1)


def shown_in(request: Request) -> str:
    """Return what the table is limited to, one of `SHOWN`."""
    show = request.query.get("show", "")
    return show if show in SHOWN else SHOWN[0]


def _plain(row: Row) -> dict[str, Any]:
    servers = row.servers._asdict() if row.servers is not None else dict.fromkeys(("up", "draining", "down"))
    return {
        "id": row.id,
        "vhosts": row.vhosts,
        "ports": row.ports,
        "services": row.services,
        **servers,
        "problem": row.problem,
    }
