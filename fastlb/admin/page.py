"""The page at `/_fastlb/`: one screen that says whether all is well, and one for each app that says why it is so.

    state, table of apps --overview.html.j2--> the page;  an Explanation --app.html.j2--> the page of an app

It must not know how anything is found out. Everything is rendered here and usable without JavaScript; the one script
asks for the page again every two seconds and takes over what differs. Nothing comes from elsewhere, and nothing inline
is allowed to run or to colour anything.
"""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from fastlb.admin import page_words
from fastlb.admin.answers import HEADERS
from fastlb.admin.kept import Modestly
from fastlb.admin.plots import latency_plot, workers_plot
from fastlb.admin.views import page_asked_for, shown_in
from fastlb.explanation import INTENDED, Unknown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from aiohttp.web import Request, Response
    from jinja2 import Template

    from fastlb.admin.app_list import AppList
    from fastlb.admin.explaining import Explaining
    from fastlb.admin.state import State
    from fastlb.explanation import Explanation

FOLDER = Path(__file__).with_name("pages")
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
PAGE_HEADERS = {**HEADERS, "Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer"}
ICONS = {"ok": "#1a7043", "warn": "#d08700", "bad": "#c8281e"}
ICON = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="7" fill="{}"/></svg>'
SHOWS = (("all", "all apps"), ("down", "with servers down"), ("left-out", "with something left out"))
MOST_ROWS = 200
"""Of the tasks, servers, labels and lines of one app; all of them are in its text."""


class Page:
    """The paths of the page, its style sheet, its script and its icons."""

    def __init__(self, state: State, apps: AppList, explaining: Explaining) -> None:
        self._state = state
        self._apps = apps
        self._explaining = explaining
        self._modestly = Modestly()
        self._templates = _templates()

    def routes(self) -> list[web.RouteDef]:
        """Return every path with what answers it."""
        files = [
            ("page.css", "text/css", (FOLDER / "page.css").read_bytes()),
            ("page.js", "text/javascript", (FOLDER / "page.js").read_bytes()),
            *((f"icon-{level}.svg", "image/svg+xml", ICON.format(colour).encode()) for level, colour in ICONS.items()),
        ]
        return [
            web.get("/_fastlb", _to_the_page),
            web.get("/_fastlb/", self._overview),
            web.get("/_fastlb/app", self._app),
            *(web.get(f"/_fastlb/{name}", _file(content_type, body)) for name, content_type, body in files),
        ]

    async def _overview(self, request: Request) -> Response:
        state, table = await self._state.get(), await self._apps.table()
        series, running_s = state["series"], state["fastlb"]["running_s"]

        def render() -> str:
            return self._templates["overview"].render(
                state=state,
                page=page_asked_for(request, table.rows),
                late=table.late,
                search=request.query.get("search", ""),
                shown=shown_in(request),
                shows=SHOWS,
                medians=_medians(series["latency"]),
                latency_plot=latency_plot(series["latency"]),
                workers_plot=workers_plot(series["old_workers"], state["reloads"], state["now_s"], running_s),
            )

        return _html(await self._modestly.do(render))

    async def _app(self, request: Request) -> Response:
        app_id = request.query.get("id", "")
        found = await self._explaining.of(app_id)
        if found is None or isinstance(found, Unknown):
            words: Mapping[str, Any] = {"unknown": found or Unknown(app_id, ()), "level": "bad"}
        else:
            words = {"app": found, "unknown": None, "level": _level(found)}
        text = await self._modestly.do(lambda: self._templates["app"].render(app_id=app_id, **words))
        return _html(text, status=404 if words["unknown"] else 200)


def _templates() -> dict[str, Template]:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=page_words.shown,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= page_words.FILTERS
    environment.globals |= {
        "intended": INTENDED,
        "more": lambda values, columns: page_words.more(values, MOST_ROWS, columns),
        "most": MOST_ROWS,
        "newline": Markup("\n"),
    }
    return {name: environment.get_template(f"{name}.html.j2") for name in ("overview", "app")}


def _medians(latencies: list[tuple[float, float, str]]) -> dict[str, float | None]:
    """Return how long the last changes took, by how they were applied."""
    by_kind = {kind: [seconds for _, seconds, how in latencies if how == kind] for kind in ("live", "reload")}
    return {kind: median(seconds) if seconds else None for kind, seconds in by_kind.items()}


def _level(found: Explanation) -> str:
    """Return how bad it is: `bad` if nothing is exposed, unless somebody wanted it so."""
    reasons = [*found.problems, *(service.why_not for service in found.services if service.why_not)]
    if not reasons:
        return "ok"
    return "warn" if found.exposed or all(reason.kind in INTENDED for reason in reasons) else "bad"


def _html(text: str, *, status: int = 200) -> Response:
    body = text.encode(errors="backslashreplace")
    answer = web.Response(body=body, status=status, content_type="text/html", charset="utf-8", headers=PAGE_HEADERS)
    answer.enable_compression()
    return answer


def _file(content_type: str, body: bytes) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_request: Request) -> Response:
        return web.Response(body=body, content_type=content_type, headers=HEADERS)

    return answer


async def _to_the_page(_request: Request) -> Response:
    return web.Response(status=301, headers={**HEADERS, "Location": "/_fastlb/"})
