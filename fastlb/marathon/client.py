"""Asking Marathon what its apps are, at whichever endpoint answers properly.

It must not know what an app is: it hands on the JSON that it got, or what it was told to make of it. Data flows: what
is asked for -> each endpoint in turn, the one that worked last first -> the part of its answer that was asked for.
Everything asked for goes its own way, so that nothing waits for anything else; an answer that is not what it should be
counts as no answer, and the next endpoint is asked.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from fastlb.errors import LoginError, MarathonAnswerError, MarathonError, MarathonUnreachable
from fastlb.marathon.answers import one_app
from fastlb.marathon.elements import Elements
from fastlb.marathon.http import MOST_AT_ONCE, Answer, Http
from fastlb.marathon.transfer import TICK_S, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fastlb.marathon.config import MarathonConfig
    from fastlb.marathon.http import Exchange, Outcome

log = logging.getLogger(__name__)

Json = dict[str, Any]

#: COMPAT.md 2.3.
HEADERS = ("Accept: application/json", "Content-Type: application/json", "User-Agent: marathon-lb")
ALL_APPS = "/v2/apps?embed=apps.tasks"
#: The leader's URL, in every answer that it gives, in lower case.
LEADER = "x-marathon-leader"
#: Seconds before a login that failed is tried again.
LOGIN_PAUSE_S = 1.0


class Told(NamedTuple):
    """What came of asking for one app, or for all of them when `app_id` is None.

    `content` is what was made of the app (None: Marathon has none of that id), or the list of all; it means nothing
    when there is a `failure`, which names each endpoint with its reason.
    """

    app_id: str | None
    content: Any = None
    failure: MarathonError | None = None


@dataclass(slots=True)
class _Ask:
    """Something that is asked for: at `url` now, with what `reasons` elsewhere."""

    app_id: str | None
    first_url: str
    first_good: int
    url: str = ""
    login: tuple[str, ...] = field(default=(), repr=False)
    renewed: bool = False
    reasons: dict[str, str] = field(default_factory=dict)


def _as_it_is(document: Json, _before: Any) -> Json:
    return document


class MarathonClient:
    """Reads apps; for use by one thread at a time, but for `wake`, `urls`, `url` and `leader`.

    `read` makes of an app's JSON what is told of it; it gets along what it made last of the same id, None at first.
    """

    def __init__(self, config: MarathonConfig, read: Callable[[Json, Any], Any] = _as_it_is) -> None:
        self.leader = ""
        """Who is Marathon's leader, as the last usable answer said (MARATHON.md 1.6); empty if none said."""
        self._login = config.login
        self._selector = config.selector
        self._elements = Elements(read, config.selector.selects if config.selector else lambda _: True)
        self.urls = config.urls
        self._urls = list(config.urls)
        self._http = Http(config.tls, connect_timeout_s=config.connect_timeout_s, read_timeout_s=config.read_timeout_s)
        self._asks: dict[Exchange, _Ask] = {}
        self._told: list[Told] = []
        self._current_login: tuple[str, ...] = ()
        self._login_failure: LoginError | None = None
        self._login_not_before_s = 0.0
        self._good: Counter[str] = Counter()
        self._silences: Counter[str] = Counter()
        self._missed: set[str] = set()

    @property
    def requests(self) -> int:
        """How many requests were sent so far, logins included."""
        return self._http.requests

    @property
    def received_bytes(self) -> int:
        """How many bytes the bodies of all answers had, as they came over the wire."""
        return self._http.received_bytes

    @property
    def url(self) -> str:
        """The endpoint that is asked first, since it worked last; any thread may look."""
        return self._urls[0]

    def close(self) -> None:
        """Close all connections; what is still asked for is never told."""
        self._http.close()

    def wake(self) -> None:
        """Have a wait of `told` end at once; any thread may ask for it."""
        self._http.wake()

    def apps(self) -> list[Any]:
        """Read all apps with their tasks, in no particular order (MARATHON.md 1.1); nothing else may be asked for.

        Raises:
            MarathonUnreachable: no endpoint gave a usable answer; the message names each with its reason.
            LoginError: the login was refused or could not be asked.

        """
        self.ask([None])
        while not (told := self.told()):
            pass
        [(_, apps, failure)] = told
        if failure:
            raise failure
        return list(apps)

    def ask(self, app_ids: Iterable[str | None]) -> None:
        """Begin to ask for single apps (MARATHON.md 1.3), and for all where the id is None, each for itself."""
        first = self._urls[0]
        self._send([_Ask(app_id, first, self._good[first]) for app_id in app_ids], first)

    def drop(self, app_ids: Iterable[str]) -> None:
        """Ask for these no longer; nothing is told of them."""
        dropped = set(app_ids)
        self._told = [told for told in self._told if told.app_id not in dropped]
        for exchange, ask in tuple(self._asks.items()):
            if ask.app_id in dropped:
                self._forget(exchange)

    def told(self, within_s: float = TICK_S) -> list[Told]:
        """Give what has come of what was asked for, each once; waits for some, `within_s` and a tick at the most."""
        for exchange, outcome in () if self._told else self._http.over(within_s):
            if ask := self._asks.pop(exchange, None):
                self._take(ask, outcome)
        told, self._told = self._told, []
        return told

    def _send(self, asks: list[_Ask], url: str) -> None:
        """Ask one endpoint; all fail if there is no login, since the next endpoint would need the same."""
        try:
            login = self._current_login = self._headers()
        except LoginError as error:
            self._told += [Told(ask.app_id, failure=error) for ask in asks]
            return
        for ask in asks:
            ask.url, ask.login = url, login
            request = Request(url + self._path(ask.app_id), HEADERS, login)
            self._asks[self._http.begin(request, first=ask.app_id is None)] = ask

    def _headers(self) -> tuple[str, ...]:
        """Give the secret headers; what failed a moment ago is not tried for each of many requests."""
        if self._login_failure and time.monotonic() < self._login_not_before_s:
            raise self._login_failure
        self._login_failure = None
        try:
            return self._login.headers(self._http)
        except LoginError as error:
            self._login_failure, self._login_not_before_s = error, time.monotonic() + LOGIN_PAUSE_S
            raise

    def _path(self, app_id: str | None) -> str:
        if app_id is None:
            return f"{ALL_APPS}&label={quote(self._selector.expression)}" if self._selector else ALL_APPS
        return f"/v2/apps/{quote(app_id.lstrip('/'), safe='/')}"

    def _forget(self, exchange: Exchange) -> _Ask:
        self._http.drop(exchange)
        return self._asks.pop(exchange)

    def _take(self, ask: _Ask, outcome: Outcome) -> None:
        """Take what came of asking one endpoint; a login that was refused and can be renewed has it asked again."""
        if isinstance(outcome, MarathonUnreachable):
            url = ask.url
            self._fail(ask, str(outcome))
            self._note_silence(url, str(outcome))
            return
        self._silences[ask.url] = 0
        if outcome.status == HTTPStatus.UNAUTHORIZED and not ask.renewed and self._renewed(ask.login):
            ask.renewed = True
            self._send([ask], ask.url)
            return
        try:
            content = self._read(ask.app_id, outcome)
        except MarathonAnswerError as error:
            self._fail(ask, str(error))
        else:
            self._good[ask.url] += 1
            self.leader = next(iter(outcome.values(LEADER)), "")
            self._told.append(Told(ask.app_id, content))
            self._prefer(ask)

    def _renewed(self, refused: tuple[str, ...]) -> bool:
        """Whether there is another login than the refused one, or can be; it is renewed for the first to say so."""
        return refused != self._current_login or self._login.renew()

    def _read(self, app_id: str | None, answer: Answer) -> Any:
        """Take what was asked for out of an answer, without the apps that are not selected."""
        if app_id is None:
            return self._elements.everything(answer)
        selector, app = self._selector, one_app(answer)
        if app is None or selector is None or selector.selects(app):
            return self._elements.one(app_id, app)
        if selector.misses(app) and app_id not in self._missed:
            self._missed.add(app_id)
            log.warning("app %s is not read: %s does not select it (--select-by-group)", app_id, selector.expression)
        return None

    def _fail(self, ask: _Ask, reason: str) -> None:
        """Ask the next endpoint, or tell that none gave an answer."""
        ask.reasons[ask.url] = reason
        url = next((url for url in self._urls if url not in ask.reasons), None)
        if url is None:
            failure = MarathonUnreachable("no Marathon gave a usable answer: " + _listed(ask.reasons))
            self._told.append(Told(ask.app_id, failure=failure))
        else:
            self._send([ask], url)

    def _note_silence(self, url: str, reason: str) -> None:
        """After `MOST_AT_ONCE` silences in a row, all that an endpoint has not begun to answer fails there.

        So an endpoint that hangs costs one timeout, however much is asked for.
        """
        self._silences[url] += 1
        if self._silences[url] < MOST_AT_ONCE:
            return
        self._silences[url] = 0
        for exchange, ask in tuple(self._asks.items()):
            if ask.url == url and exchange.silent:
                self._fail(self._forget(exchange), reason)

    def _prefer(self, ask: _Ask) -> None:
        """Ask the endpoint that gave this first from now on, if the first one gave nothing meanwhile and will not."""
        first = self._urls[0]
        if ask.url == first or ask.first_url != first or self._good[first] > ask.first_good:
            return
        if any(other.url == first for other in self._asks.values()):
            return
        log.warning("Marathon is asked at %s from now on, since %s", ask.url, _listed(ask.reasons))
        self._urls.remove(ask.url)
        self._urls.insert(0, ask.url)


def _listed(reasons: dict[str, str]) -> str:
    return "; ".join(f"{url}: {reason}" for url, reason in reasons.items())
