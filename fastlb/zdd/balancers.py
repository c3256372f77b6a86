"""The load balancers, asked: every IPv4 address behind the names in their URLs is one (COMPAT.md 9.4).

    URLs --look up--> addresses --side by side--> fastlb's answer, or statistics and pids --> BalancerSeen of each

It must not know which servers matter, nor what follows: `statistics` reads the answers, `draining` judges. fastlb is
asked first, at a path that no marathon-lb has, since it also sees what old workers of HAProxy still hold. Of any other
HAProxy there are its statistics, and the number of its processes: more than two mean that old workers go on, of which
nothing is known. Every question has a limit in seconds and in bytes.
"""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from fastlb.errors import FastlbError
from fastlb.zdd.seen import BalancerSeen
from fastlb.zdd.statistics import StatisticsError, read_draining, read_statistics

if TYPE_CHECKING:
    from collections.abc import Sequence

DRAINING_PATH = "/_fastlb/draining"
STATISTICS_PATH = "/haproxy?stats;csv"
PIDS_PATH = "/_haproxy_getpids"
MOST_PIDS = 2
"""The master and the worker that serves (COMPAT.md 9.4)."""
MOST_BYTES = 256 * 1024 * 1024
PIECE_BYTES = 256 * 1024
MOST_AT_ONCE = 16


class BalancerError(FastlbError):
    """A load balancer could not be asked: ``which``, and ``why``."""

    def __init__(self, which: str, why: str) -> None:
        super().__init__(f"load balancer {which}: {why}")
        self.which = which
        self.why = why


@dataclass(frozen=True, slots=True)
class _Balancer:
    """One address of one URL."""

    scheme: str
    host: str
    address: str
    port: int
    folder: str
    authorization: str

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"


class Balancers:
    """All load balancers at ``urls``; ``timeout_s`` is for one question to one of them.

    ``app_id`` is the id of the deployment group, or of any app: fastlb then tells of its servers only. ``token`` is
    what ``--admin-token-file`` of fastlb holds. User and password in a URL are sent to that load balancer.
    """

    def __init__(self, urls: Sequence[str], timeout_s: float, *, app_id: str = "", token: str = "") -> None:
        self._urls = tuple(urls)
        self._timeout_s = timeout_s
        self._draining_path = DRAINING_PATH + (f"?app={quote(app_id, safe='')}" if app_id else "")
        self._token = token

    def look(self) -> tuple[BalancerSeen, ...]:
        """Return what each of them sees, in the order of the URLs and of their addresses.

        Names are looked up each time. Raises BalancerError for the first that cannot be asked: what one of several
        does is not known then, and nothing may be concluded from the others.
        """
        every = list(dict.fromkeys(each for url in self._urls for each in _behind(url)))
        with ThreadPoolExecutor(min(MOST_AT_ONCE, max(len(every), 1)), "balancer") as threads:
            return tuple(threads.map(self._look_at, every))

    def _look_at(self, balancer: _Balancer) -> BalancerSeen:
        try:
            status, answer = self._get(balancer, self._draining_path, self._token)
            if status == http.client.OK and answer.startswith(b"{"):
                return BalancerSeen(str(balancer), *read_draining(answer))
            servers = read_statistics(self._statistics(balancer))
            return BalancerSeen(str(balancer), servers, self._unseen_workers(balancer))
        except StatisticsError as error:
            raise BalancerError(str(balancer), f"its statistics cannot be used: {error}") from error
        except TimeoutError as error:
            raise BalancerError(str(balancer), f"no answer within {self._timeout_s:g} s") from error
        except (OSError, http.client.HTTPException) as error:
            raise BalancerError(str(balancer), f"it does not answer: {str(error) or repr(error)}") from error

    def _statistics(self, balancer: _Balancer) -> str:
        status, answer = self._get(balancer, STATISTICS_PATH)
        if status != http.client.OK:
            raise StatisticsError(f"{STATISTICS_PATH} answers {status}")
        return answer.decode(errors="replace")

    def _unseen_workers(self, balancer: _Balancer) -> int:
        """Return how many old workers there may be; one, if it does not say, as it is when a reload goes on."""
        status, answer = self._get(balancer, PIDS_PATH)
        pids = answer.split()
        if status != http.client.OK or not pids or not all(map(bytes.isdigit, pids)):
            return 1
        return max(0, len(pids) - MOST_PIDS)

    def _get(self, balancer: _Balancer, path: str, token: str = "") -> tuple[int, bytes]:
        """Return status and body of one request on a connection of its own. Raises OSError and HTTPException."""
        until_s = monotonic() + self._timeout_s
        authorization = f"Bearer {token}" if token else balancer.authorization
        headers = {"Authorization": authorization} if authorization else {}
        connection = http.client.HTTPConnection(balancer.host, balancer.port)
        connected = connection.sock = _connected(balancer, self._timeout_s)
        try:
            connection.request("GET", balancer.folder + path, headers=headers)
            answer = connection.getresponse()
            return answer.status, _whole(answer, connected, until_s)
        finally:
            connection.close()


def _behind(url: str) -> list[_Balancer]:
    """Return the load balancers behind one URL. Raises BalancerError for one that is none, or whose name is unknown."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise BalancerError(url, f"it is no URL: {error}") from error
    if parts.scheme not in {"http", "https"} or not host or not port:
        raise BalancerError(parts.netloc.rpartition("@")[2] or url, "http://HOST:PORT is needed")
    secret = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}" if parts.username else ""
    authorization = f"Basic {base64.b64encode(secret.encode()).decode()}" if secret else ""
    try:
        found = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise BalancerError(f"{host}:{port}", f"its name has no IPv4 address: {error}") from error
    addresses = sorted({str(where[0]) for *_, where in found})
    return [_Balancer(parts.scheme, host, each, port, parts.path.rstrip("/"), authorization) for each in addresses]


def _connected(balancer: _Balancer, timeout_s: float) -> socket.socket:
    """Return a connection to one address, TLS for the name that the URL has."""
    connection = socket.create_connection((balancer.address, balancer.port), timeout_s)
    if balancer.scheme == "http":
        return connection
    return ssl.create_default_context().wrap_socket(connection, server_hostname=balancer.host)


def _whole(answer: http.client.HTTPResponse, connection: socket.socket, until_s: float) -> bytes:
    """Return the body, however slowly it trickles in. Raises TimeoutError, and HTTPException for one too long."""
    pieces, size = [], 0
    while piece := answer.read1(PIECE_BYTES):
        pieces.append(piece)
        size += len(piece)
        left_s = until_s - monotonic()
        if left_s <= 0:
            raise TimeoutError
        if size > MOST_BYTES:
            raise http.client.HTTPException(f"its answer is longer than {MOST_BYTES} bytes")
        connection.settimeout(left_s)
    return b"".join(pieces)
