"""Transfers with libcurl, and the rules that hold for each one: TLS, redirects, credentials, giving up.

It must not know what is transferred; plain requests and the event stream both go through here. Data flows:
a `Request` -> `prepare` -> a handle, to which the caller adds where the bytes go -> `run`, or `run_all` for
several at once -> nothing, or why it failed.

Redirects (MARATHON.md 1.8): a GET follows one, and takes its credentials along even to another host, since
that is how a follower points at the leader. From https to plain http it takes them never: the redirect is
refused instead.
"""

from __future__ import annotations

import os
import ssl
import time
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

import pycurl

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from pathlib import Path

#: Seconds after which an idle connection is not used again: Marathon closes it after 30 (MARATHON.md 1.7).
IDLE_REUSE_S = 25
#: Seconds between two looks at whether to give up, and between two tries when there is no socket to wait
#: for yet.
TICK_S = 0.1
NO_SOCKET_TICK_S = 0.01

_PLAIN = pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS


@dataclass(frozen=True, slots=True)
class Tls:
    """How https servers are checked: against `ca_cert` alone, or else against what the system trusts."""

    ca_cert: Path | None = None
    verify: bool = True


@dataclass(frozen=True, slots=True)
class Request:
    """What to send: a POST when there is a body, otherwise a GET. Headers are whole lines, `Name: value`."""

    url: str
    headers: tuple[str, ...] = ()
    secret_headers: tuple[str, ...] = field(default=(), repr=False)
    body: bytes | None = field(default=None, repr=False)


class Transfer(Protocol):
    """A handle that was prepared for a request, and when to give it up.

    `give_up` is asked after every piece and at least every `TICK_S`, also while a name is resolved or a
    connection made; a reason from it ends the transfer.
    """

    @property
    def curl(self) -> pycurl.Curl:
        """The handle."""

    @property
    def request(self) -> Request:
        """What the handle was prepared for."""

    @property
    def give_up(self) -> Callable[[], str]:
        """Gives why not to wait any longer; nothing while there is no reason."""


T = TypeVar("T", bound=Transfer)


class Head:
    """Status and headers of the answer that libcurl is reading; those of a redirect give way to the next."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[str, str]] = []

    def take(self, line: bytes) -> bool:
        """Take one raw line; True at the empty line that ends a head."""
        text = line.decode("latin-1").strip()
        if text.startswith("HTTP/"):
            status = text.split(" ")[1:2]
            self.status = int(status[0]) if status and status[0].isdecimal() else 0
            self.headers.clear()
        elif text:
            name, _, value = text.partition(":")
            self.headers.append((name.strip().lower(), value.strip()))
        return not text


def prepare(curl: pycurl.Curl, request: Request, tls: Tls, connect_timeout_s: float) -> None:
    """Set on a fresh handle what holds for every request: target, headers, TLS, redirects, connecting."""
    curl.setopt(pycurl.NOSIGNAL, True)
    curl.setopt(pycurl.URL, request.url)
    curl.setopt(pycurl.HTTPHEADER, [*request.headers, *request.secret_headers])
    curl.setopt(pycurl.CONNECTTIMEOUT_MS, int(connect_timeout_s * 1000))
    curl.setopt(pycurl.MAXAGE_CONN, IDLE_REUSE_S)
    curl.setopt(pycurl.PROTOCOLS, _PLAIN)
    if request.body is None:
        _follow_one_redirect(curl, request)
    else:
        curl.setopt(pycurl.POSTFIELDS, request.body)
    _check_server(curl, tls)


def run(multi: pycurl.CurlMulti, curl: pycurl.Curl, request: Request, give_up: Callable[[], str]) -> str:
    """Carry out one prepared transfer to its end, as `run_all` does; give why it failed, or nothing."""
    [(_, failure)] = run_all(multi, [_Single(curl, request, give_up)], 1)
    return failure


def run_all(multi: pycurl.CurlMulti, transfers: Iterable[T], most: int) -> Generator[tuple[T, str]]:
    """Carry out transfers, at most `most` at once; give each as it ends, with the reason why it failed, or nothing.

    The next one is taken from `transfers` only when it can begin. Closing the iterator ends what is under way. No
    reason holds an address or a secret.
    """
    waiting = iter(transfers)
    running: dict[pycurl.Curl, T] = {}
    try:
        while True:
            for transfer in islice(waiting, most - len(running)):
                multi.add_handle(transfer.curl)
                running[transfer.curl] = transfer
            if not running:
                return
            multi.perform()
            ended = _ended(multi, running)
            for transfer, _ in ended:
                multi.remove_handle(transfer.curl)
                del running[transfer.curl]
            yield from ended
            if not ended:
                _wait(multi)
    finally:
        for curl in running:
            multi.remove_handle(curl)


class _Single(NamedTuple):
    """The transfer of `run`."""

    curl: pycurl.Curl
    request: Request
    give_up: Callable[[], str]


def _ended(multi: pycurl.CurlMulti, running: dict[pycurl.Curl, T]) -> list[tuple[T, str]]:
    """The running transfers that are over, or are to be given up, with the reason why they failed."""
    _, done, failed = multi.info_read()
    reasons = dict.fromkeys(done, "")
    for curl, code, text in failed:
        reasons[curl] = running[curl].give_up() or _why_failed(curl, running[curl].request, code, text)
    for curl in running.keys() - reasons.keys():
        if reason := running[curl].give_up():
            reasons[curl] = reason
    return [(running[curl], reason) for curl, reason in reasons.items()]


def _wait(multi: pycurl.CurlMulti) -> None:
    """Wait for the sockets of the transfers, for libcurl's own timers, or for the next tick."""
    due_ms = multi.timeout()
    tick_s = TICK_S if due_ms < 0 else min(TICK_S, due_ms / 1000)
    if any(multi.fdset()):
        multi.select(tick_s)
    else:
        time.sleep(min(NO_SOCKET_TICK_S, tick_s))


def _why_failed(curl: pycurl.Curl, request: Request, code: int, text: str) -> str:
    if code == pycurl.E_UNSUPPORTED_PROTOCOL and _guards_credentials(request):
        return "redirected from https to plain http; not followed, since the credentials could be read there"
    if code == pycurl.E_TOO_MANY_REDIRECTS:
        return "redirected more than once"
    os_error = curl.getinfo(pycurl.OS_ERRNO)
    if code == pycurl.E_COULDNT_CONNECT and os_error:
        return os.strerror(os_error).lower()
    return text or f"libcurl error {code}"


def _follow_one_redirect(curl: pycurl.Curl, request: Request) -> None:
    curl.setopt(pycurl.FOLLOWLOCATION, True)
    curl.setopt(pycurl.MAXREDIRS, 1)
    curl.setopt(pycurl.UNRESTRICTED_AUTH, True)
    curl.setopt(pycurl.REDIR_PROTOCOLS, pycurl.PROTO_HTTPS if _guards_credentials(request) else _PLAIN)


def _guards_credentials(request: Request) -> bool:
    return bool(request.secret_headers) and request.url.lower().startswith("https:")


def _check_server(curl: pycurl.Curl, tls: Tls) -> None:
    curl.setopt(pycurl.SSL_VERIFYPEER, tls.verify)
    curl.setopt(pycurl.SSL_VERIFYHOST, 2 if tls.verify else 0)
    if tls.ca_cert:
        curl.setopt(pycurl.CAINFO, str(tls.ca_cert))
        return
    # A libcurl that comes in a wheel does not know where this system keeps its certificates; Python does.
    system = ssl.get_default_verify_paths()
    if system.cafile:
        curl.setopt(pycurl.CAINFO, system.cafile)
    if system.capath:
        curl.setopt(pycurl.CAPATH, system.capath)
