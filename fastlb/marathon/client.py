"""Asking Marathon what its apps are, at whichever endpoint answers properly.

It must not know what an app is: it hands on the JSON that it got. Data flows: a path -> each endpoint in
turn, the one that worked last first -> `Answer` -> the part of its JSON that was asked for. An answer that
is not what it should be counts as no answer, so that a broken endpoint never hides a working one.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import orjson

from fastlb.errors import MarathonAnswerError, MarathonUnreachable
from fastlb.marathon.http import Http, named_status
from fastlb.marathon.transfer import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastlb.marathon.config import MarathonConfig
    from fastlb.marathon.http import Answer

log = logging.getLogger(__name__)

#: COMPAT.md 2.3.
HEADERS = ("Accept: application/json", "Content-Type: application/json", "User-Agent: marathon-lb")

T = TypeVar("T")


class MarathonClient:
    """Reads apps; for use by one thread at a time."""

    def __init__(self, config: MarathonConfig) -> None:
        self._login = config.login
        self._urls = list(config.urls)
        self._http = Http(config.tls, connect_timeout_s=config.connect_timeout_s, read_timeout_s=config.read_timeout_s)

    @property
    def requests(self) -> int:
        """How many requests were sent so far, logins included."""
        return self._http.requests

    @property
    def received_bytes(self) -> int:
        """How many bytes the bodies of all answers had, as they came over the wire."""
        return self._http.received_bytes

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def apps(self) -> list[dict[str, Any]]:
        """Read all apps with their tasks, in no particular order (MARATHON.md 1.1).

        Raises:
            MarathonUnreachable: no endpoint gave a usable answer; the message names each with its reason.
            LoginError: the login was refused or could not be asked.

        """
        return self._ask("/v2/apps?embed=apps.tasks", _apps)

    def app(self, app_id: str) -> dict[str, Any] | None:
        """Read one app with its tasks; None when Marathon has none of this id (MARATHON.md 1.3).

        Raises:
            MarathonUnreachable: as for `apps`.
            LoginError: as for `apps`.

        """
        return self._ask(f"/v2/apps/{quote(app_id.lstrip('/'), safe='/')}", _app)

    def _ask(self, path: str, read: Callable[[Answer], T]) -> T:
        reasons: dict[str, str] = {}
        for url in self._urls:
            try:
                result = read(self._get(url + path))
            except (MarathonUnreachable, MarathonAnswerError) as error:
                reasons[url] = str(error)
                continue
            self._prefer(url, reasons)
            return result
        raise MarathonUnreachable("no Marathon gave a usable answer: " + _listed(reasons))

    def _get(self, url: str) -> Answer:
        answer = self._http.send(Request(url, HEADERS, self._login.headers(self._http)))
        if answer.status == HTTPStatus.UNAUTHORIZED and self._login.renew():
            answer = self._http.send(Request(url, HEADERS, self._login.headers(self._http)))
        return answer

    def _prefer(self, url: str, reasons: dict[str, str]) -> None:
        if url == self._urls[0]:
            return
        log.warning("Marathon is asked at %s from now on, since %s", url, _listed(reasons))
        self._urls.remove(url)
        self._urls.insert(0, url)


def _listed(reasons: dict[str, str]) -> str:
    return "; ".join(f"{url}: {reason}" for url, reason in reasons.items())


def _apps(answer: Answer) -> list[dict[str, Any]]:
    apps = _document(answer).get("apps")
    if not isinstance(apps, list) or not all(isinstance(app, dict) for app in apps):
        raise MarathonAnswerError("answered JSON without a list of apps")
    return apps


def _app(answer: Answer) -> dict[str, Any] | None:
    if answer.status == HTTPStatus.NOT_FOUND:
        return None
    app = _document(answer).get("app")
    if not isinstance(app, dict):
        raise MarathonAnswerError("answered JSON without an app")
    return app


def _document(answer: Answer) -> dict[str, Any]:
    """The JSON object that a good answer holds."""
    if answer.status != HTTPStatus.OK:
        raise MarathonAnswerError(named_status(answer.status))
    try:
        document = orjson.loads(answer.body)
    except orjson.JSONDecodeError as error:
        raise MarathonAnswerError(_why_no_json(answer.body, error)) from None
    if not isinstance(document, dict):
        raise MarathonAnswerError("answered JSON that is no object")
    return document


def _why_no_json(body: bytes, error: orjson.JSONDecodeError) -> str:
    size = f"({len(body)} bytes)"
    if not body.strip():
        return "an empty answer"
    if body.lstrip().startswith(b"<"):
        return f"answered HTML {size}"
    if "end of data" in error.msg:
        return f"half a JSON {size}"
    return f"broken JSON {size}: {error.msg}"
