"""Asking Marathon what its apps are, at whichever endpoint answers properly.

It must not know what an app is: it hands on the JSON that it got. Data flows: paths -> each endpoint in
turn, the one that worked last first -> an `Answer` for each path -> the part of its JSON that was asked for.
An answer that is not what it should be counts as no answer, so that a broken endpoint never hides a working
one; what one endpoint answered well is kept, and the next is asked for the rest only.
"""

from __future__ import annotations

import logging
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import quote

import orjson

from fastlb.errors import LoginError, MarathonAnswerError, MarathonUnreachable
from fastlb.marathon.http import MOST_AT_ONCE, Answer, Http, named_status
from fastlb.marathon.transfer import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from fastlb.errors import MarathonError
    from fastlb.marathon.config import MarathonConfig

log = logging.getLogger(__name__)

#: COMPAT.md 2.3.
HEADERS = ("Accept: application/json", "Content-Type: application/json", "User-Agent: marathon-lb")
ALL_APPS = "/v2/apps?embed=apps.tasks"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class AppAnswers:
    """What single apps are: by id the JSON of those `found`, None for one that Marathon does not have.

    `failed` gives by id why there is no usable answer. Every id that was asked for is in one of the two.
    """

    found: dict[str, dict[str, Any] | None]
    failed: dict[str, str]


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
        asked = _Asked([ALL_APPS], _apps)
        if failed := self._ask(asked):
            raise failed[ALL_APPS]
        return asked.found[ALL_APPS]

    def apps_by_id(self, app_ids: Iterable[str]) -> AppAnswers:
        """Read each of these apps alone, with its tasks, several at once (MARATHON.md 1.3); raises nothing."""
        paths = {app_id: f"/v2/apps/{quote(app_id.lstrip('/'), safe='/')}" for app_id in app_ids}
        asked = _Asked(paths.values(), _app)
        failed = self._ask(asked)
        return AppAnswers(
            {app_id: asked.found[path] for app_id, path in paths.items() if path in asked.found},
            {app_id: str(failed[path]) for app_id, path in paths.items() if path in failed},
        )

    def _ask(self, asked: _Asked[T]) -> dict[str, MarathonError]:
        """Ask each endpoint for what those before it did not give; give by path why there is still no answer."""
        for url in tuple(self._urls):
            nothing_yet = not asked.found
            try:
                for path, outcome in self._answers(url, asked.missing):
                    asked.take(url, path, outcome)
            except LoginError as error:
                # The next endpoint would need the same login.
                return dict.fromkeys(asked.missing, error)
            if asked.found and nothing_yet:
                self._prefer(url, asked.reasons[next(iter(asked.found))])
            if not asked.missing:
                break
        return {path: _no_answer(asked.reasons[path]) for path in asked.missing}

    def _answers(self, url: str, paths: list[str]) -> Iterator[tuple[str, Answer | MarathonUnreachable]]:
        """Ask one endpoint; a path that it refuses with a login that can be renewed comes a second time."""
        refused = []
        for path, outcome in self._send(url, paths):
            yield path, outcome
            if isinstance(outcome, Answer) and outcome.status == HTTPStatus.UNAUTHORIZED:
                refused.append(path)
        if refused and self._login.renew():
            yield from self._send(url, refused)

    def _send(self, url: str, paths: list[str]) -> Iterator[tuple[str, Answer | MarathonUnreachable]]:
        """Ask one endpoint once; after `MOST_AT_ONCE` silences in a row the rest fail without being asked.

        So an endpoint that hangs costs one timeout, however many paths there are.
        """
        secret_headers = self._login.headers(self._http)
        left, silences = set(paths), 0
        requests = (Request(url + path, HEADERS, secret_headers) for path in paths)
        with closing(self._http.send_all(requests)) as outcomes:
            for request, outcome in outcomes:
                path = request.url.removeprefix(url)
                left.remove(path)
                yield path, outcome
                silences = 0 if isinstance(outcome, Answer) else silences + 1
                if silences == MOST_AT_ONCE:
                    yield from ((path, outcome) for path in left)
                    return

    def _prefer(self, url: str, reasons: dict[str, str]) -> None:
        if url == self._urls[0]:
            return
        log.warning("Marathon is asked at %s from now on, since %s", url, _listed(reasons))
        self._urls.remove(url)
        self._urls.insert(0, url)


class _Asked(Generic[T]):
    """Paths that are asked for: what was `found`, and the `reasons` of each endpoint that gave nothing.

    Args:
        paths: what to ask for.
        read: takes what was asked for out of a good answer, or raises MarathonAnswerError.

    """

    def __init__(self, paths: Iterable[str], read: Callable[[Answer], T]) -> None:
        self.found: dict[str, T] = {}
        self.reasons: dict[str, dict[str, str]] = {path: {} for path in paths}
        self._read = read

    @property
    def missing(self) -> list[str]:
        """The paths that were not found yet."""
        return [path for path in self.reasons if path not in self.found]

    def take(self, url: str, path: str, outcome: Answer | MarathonUnreachable) -> None:
        """Take what came of asking `url` for `path`."""
        if isinstance(outcome, MarathonUnreachable):
            self.reasons[path][url] = str(outcome)
            return
        try:
            self.found[path] = self._read(outcome)
        except MarathonAnswerError as error:
            self.reasons[path][url] = str(error)


def _no_answer(reasons: dict[str, str]) -> MarathonUnreachable:
    return MarathonUnreachable("no Marathon gave a usable answer: " + _listed(reasons))


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
