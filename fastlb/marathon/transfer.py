"""Transfers with libcurl, and the rules that hold for each one: TLS, redirects, credentials, giving up.

It must not know what is transferred; plain requests and the event stream both go through here. Data flows:
a `Request` -> `prepare` -> a handle, to which the caller adds where the bytes go -> `run`, or `Transfers` for
any number of them side by side -> nothing, or why it failed.

Redirects (MARATHON.md 1.8): a GET follows one, and takes its credentials along even to another host, since
that is how a follower points at the leader. From https to plain http it takes them never: the redirect is
refused instead.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

import pycurl

if TYPE_CHECKING:
    from collections.abc import Callable
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
    """What to send: a POST when there is a body, otherwise a GET, unless a `method` is named. Headers are whole lines,
    `Name: value`.
    """

    url: str
    headers: tuple[str, ...] = ()
    secret_headers: tuple[str, ...] = field(default=(), repr=False)
    body: bytes | None = field(default=None, repr=False)
    method: str = ""


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
    if request.body is not None:
        curl.setopt(pycurl.POSTFIELDS, request.body)
    elif not request.method:
        _follow_one_redirect(curl, request)
    if request.method:
        curl.setopt(pycurl.CUSTOMREQUEST, request.method)
    _check_server(curl, tls)


class Transfers(Generic[T]):
    """Carries out prepared transfers, side by side; for one thread, but for `wake`. No reason holds an address or
    a secret.
    """

    def __init__(self) -> None:
        self._multi = pycurl.CurlMulti()
        self._running: dict[pycurl.Curl, T] = {}
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)

    def __len__(self) -> int:
        """How many are under way."""
        return len(self._running)

    def close(self) -> None:
        """End what is under way, and all connections."""
        for transfer in tuple(self._running.values()):
            self.end(transfer)
        self._multi.close()
        self._woken.close()
        self._waker.close()

    def __contains__(self, transfer: T) -> bool:
        """Whether it is under way."""
        return transfer.curl in self._running

    def begin(self, transfer: T) -> None:
        """Have it carried out from the next `step` on."""
        self._multi.add_handle(transfer.curl)
        self._running[transfer.curl] = transfer

    def end(self, transfer: T) -> None:
        """Carry it out no longer."""
        self._multi.remove_handle(transfer.curl)
        del self._running[transfer.curl]

    def wake(self) -> None:
        """End the wait of a `step` under way, from any thread; without one, that of the next."""
        # A full buffer is a wake-up that nobody has seen yet; a closed one is for nobody.
        with contextlib.suppress(OSError):
            self._waker.send(b"w")

    def step(self, within_s: float = TICK_S) -> list[tuple[T, str]]:
        """Go on; give those that ended, each with the reason why it failed, or nothing.

        Without any, it has waited for something to happen: at most `within_s` seconds, and no longer than a tick.
        """
        self._multi.perform()
        ended = self._ended()
        for transfer, _ in ended:
            self.end(transfer)
        if not ended:
            self._wait(within_s)
        return ended

    def _ended(self) -> list[tuple[T, str]]:
        """The running transfers that are over, or are to be given up, with the reason why they failed."""
        _, done, failed = self._multi.info_read()
        reasons = dict.fromkeys(done, "")
        for curl, code, text in failed:
            running = self._running[curl]
            reasons[curl] = running.give_up() or _why_failed(curl, running.request, code, text)
        for curl in self._running.keys() - reasons.keys():
            if reason := self._running[curl].give_up():
                reasons[curl] = reason
        return [(self._running[curl], reason) for curl, reason in reasons.items()]

    def _wait(self, within_s: float) -> None:
        """Wait for the sockets of the transfers, for libcurl's own timers, for `wake`, or for the next tick."""
        due_ms = self._multi.timeout()
        wait_s = min(TICK_S, within_s, *([due_ms / 1000] if due_ms >= 0 else ()))
        readable, writable, exceptional = self._multi.fdset()
        if not (readable or writable or exceptional):
            wait_s = min(NO_SOCKET_TICK_S, wait_s)
        watched = select.poll()
        watched.register(self._woken, select.POLLIN)
        for descriptor in {*readable, *writable, *exceptional}:
            reads, writes = descriptor in readable, descriptor in writable
            watched.register(descriptor, reads * select.POLLIN | writes * select.POLLOUT | select.POLLPRI)
        watched.poll(wait_s * 1000)
        with contextlib.suppress(BlockingIOError):
            while self._woken.recv(1024):
                pass


class _Single(NamedTuple):
    """The transfer of `run`."""

    curl: pycurl.Curl
    request: Request
    give_up: Callable[[], str]


def run(curl: pycurl.Curl, request: Request, give_up: Callable[[], str]) -> str:
    """Carry out one prepared transfer to its end; give why it failed, or nothing."""
    with contextlib.closing(Transfers[_Single]()) as transfers:
        transfers.begin(_Single(curl, request, give_up))
        while not (ended := transfers.step()):
            pass
    return ended[0][1]


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
