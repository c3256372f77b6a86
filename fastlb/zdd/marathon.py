"""Marathon as a deployment needs it: the apps of a group read, one app created, scaled, thinned out, deleted.

It must not know why. Every call asks the endpoints in turn, logs in again once if a login was refused, and either
returns Marathon's answer or raises `TroubleError`, which says whether it may pass. Nothing is tried again here: who
waits reads the group first, since a change whose answer got lost may have been made.
"""

from __future__ import annotations

import contextlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson

from fastlb.deployment import GROUP
from fastlb.errors import FastlbError, LoginError, MarathonUnreachable
from fastlb.marathon.http import Answer, Http, named_status
from fastlb.marathon.transfer import Request
from fastlb.zdd.definitions import group_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastlb.marathon import MarathonConfig

Json = dict[str, Any]

HEADERS = ("Accept: application/json", "Content-Type: application/json", "User-Agent: fastlb-zdd")
MOST_SHOWN = 300  # characters of a refusal
PASSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS}


class TroubleError(FastlbError):
    """Marathon did not do it. ``status`` is 0 without an answer; ``passes``: the same may work in a moment."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status

    @property
    def passes(self) -> bool:
        """Whether to try again: locked, busy, failing over or out of reach."""
        return self.status in PASSING or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR or self.status == 0


class Marathon:
    """One Marathon, at any of its addresses; for use by one thread."""

    def __init__(self, config: MarathonConfig) -> None:
        self._urls = list(config.urls)
        self._login = config.login
        self._http = Http(config.tls, connect_timeout_s=config.connect_timeout_s, read_timeout_s=config.read_timeout_s)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def group(self, name: str) -> list[Json]:
        """Return the apps of a deployment group with their tasks, in no particular order."""
        answer = self._ask("GET", f"/v2/apps?label={GROUP}&embed=apps.tasks&embed=apps.deployments")
        apps = _document(answer).get("apps")
        if not isinstance(apps, list):
            raise TroubleError(f"{answer.url} answered JSON without a list of apps")
        return [app for app in apps if group_of(app) == name]

    def find(self, app_id: str) -> Json | None:
        """Return one app with its tasks, None if there is none of that id."""
        answer = self._ask("GET", _path(app_id), HTTPStatus.NOT_FOUND)
        return None if answer.status == HTTPStatus.NOT_FOUND else _document(answer).get("app")

    def create(self, definition: Json) -> None:
        """Create an app that is not there yet."""
        self._ask("POST", "/v2/apps", body=definition)

    def update(self, app_id: str, changes: Json) -> None:
        """Change members of an app; what is not named stays."""
        self._ask("PUT", _path(app_id), body=changes)

    def kill_and_scale(self, task_ids: Sequence[str], *, force: bool = False) -> None:
        """Kill tasks and lower their app's instances by as many (MARATHON.md 6.1); ``force``: though it is locked."""
        self._ask("POST", f"/v2/tasks/delete?scale=true&force={_word(force)}", body={"ids": list(task_ids)})

    def delete(self, app_id: str, *, force: bool = False) -> None:
        """Delete an app with its tasks; one that is gone already is as good. ``force``: though it is locked."""
        self._ask("DELETE", f"{_path(app_id)}?force={_word(force)}", HTTPStatus.NOT_FOUND)

    def _ask(self, method: str, path: str, *also_good: int, body: Json | None = None) -> Answer:
        """Return the first answer of an endpoint that is none of its own troubles; it comes first from then on."""
        troubles: list[TroubleError] = []
        for url in tuple(self._urls):
            try:
                answer = self._send(url, method, path, body)
                _check(answer, method, also_good)
            except TroubleError as trouble:
                troubles.append(trouble)
                if 0 < trouble.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                    break
            else:
                self._urls.remove(url)
                self._urls.insert(0, url)
                return answer
        raise TroubleError("; ".join(map(str, troubles)), troubles[-1].status)

    def _send(self, url: str, method: str, path: str, body: Json | None) -> Answer:
        data = None if body is None else orjson.dumps(body)
        named = "" if method == "GET" else method
        try:
            answer = self._http.send(Request(url + path, HEADERS, self._login.headers(self._http), data, named))
            if answer.status == HTTPStatus.UNAUTHORIZED and self._login.renew():
                answer = self._http.send(Request(url + path, HEADERS, self._login.headers(self._http), data, named))
        except (MarathonUnreachable, LoginError) as error:
            raise TroubleError(f"{method} {url}{path}: {error}") from error
        return answer


def _word(flag: bool) -> str:
    return "true" if flag else "false"


def _path(app_id: str) -> str:
    return f"/v2/apps/{quote(app_id.lstrip('/'), safe='/')}"


def _check(answer: Answer, method: str, also_good: Sequence[int]) -> None:
    if answer.status < HTTPStatus.MULTIPLE_CHOICES or answer.status in also_good:
        return
    said = answer.body[:MOST_SHOWN].decode(errors="replace")
    with contextlib.suppress(orjson.JSONDecodeError, AttributeError):
        document = orjson.loads(answer.body)
        said = " ".join(str(document[name]) for name in ("message", "details", "deployments") if document.get(name))
    raise TroubleError(f"{method} {answer.url}: {named_status(answer.status)}: {said}", answer.status)


def _document(answer: Answer) -> Json:
    try:
        document = orjson.loads(answer.body)
    except orjson.JSONDecodeError as error:
        raise TroubleError(f"{answer.url} answered no JSON ({len(answer.body)} bytes): {error}") from None
    if not isinstance(document, dict):
        raise TroubleError(f"{answer.url} answered JSON that is no object")
    return document
