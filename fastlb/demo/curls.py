"""The curl lines that the demo prints, and the proof that they work as printed.

Each line is made from one `Request`, so where curl is not installed the same request is made without it.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fastlb.demo.apps import CACHE, PASSWORD, STEADY_HOST, cache_port
from fastlb.demo.front import Request, ask
from fastlb.demo.ports import HOST

if TYPE_CHECKING:
    from fastlb.demo.front import Answer
    from fastlb.demo.ports import Ports

TIMEOUT_S = 10.0
AUTHORIZATION = "Basic ZGVtbzpzZWNyZXQ="  # demo:secret


@dataclass(frozen=True, slots=True)
class Example:
    """One curl line; what it prints matches ``expected``. ``shows_head`` is curl's -i, ``times`` its [1-n]."""

    title: str
    request: Request
    expected: str
    shows_head: bool = False
    times: int = 1

    @property
    def line(self) -> str:
        """Return the words as a shell reads them."""
        return shlex.join(self.words)

    @property
    def words(self) -> list[str]:
        """Return curl and its arguments."""
        request = self.request
        flags = "-s" + ("k" if request.tls else "") + ("i" if self.shows_head else "")
        words = ["curl", flags + "w", "\\n", *(["-b", ""] if self.times > 1 else [])]
        for name, value in request.headers:
            if name == "Authorization":
                words += ["-u", f"demo:{PASSWORD}"]
            elif not (name == "Host" and request.tls):
                words += ["-H", f"{name}: {value}"]
        path = f"/[1-{self.times}]" if self.times > 1 else request.path
        if request.tls:
            return [*words, "--connect-to", f"::{HOST}:{request.port}", f"https://{request.host}{path}"]
        return [*words, f"http://{HOST}:{request.port}{path}"]

    def doubt(self) -> str:
        """Carry it out; say why the answer is not the expected one, or ""."""
        said = self._by_curl() if shutil.which("curl") else self._without_curl()
        if re.search(self.expected, said, re.DOTALL | re.IGNORECASE):
            return ""
        return f"it printed {said[:200]!r}, expected was {self.expected!r}"

    def _by_curl(self) -> str:
        try:
            done = subprocess.run(self.words, capture_output=True, timeout=TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            return f"(no answer within {TIMEOUT_S:g} s)"
        return done.stdout.decode(errors="replace")

    def _without_curl(self) -> str:
        said = ""
        cookies: tuple[tuple[str, str], ...] = ()
        for _ in range(self.times):
            answer = ask(replace(self.request, headers=self.request.headers + cookies))
            if "set-cookie" in answer.headers:
                cookies = (("Cookie", answer.headers["set-cookie"].partition(";")[0]),)
            said += (_head(answer) if self.shows_head else "") + answer.body + "\n"
        return said


def examples(ports: Ports) -> tuple[Example, ...]:
    """Return the lines to print."""

    def vhost(host: str, path: str = "/", *more: tuple[str, str]) -> Request:
        return Request(ports.http, (("Host", host), *more), path)

    account = Request(ports.https, (("Host", "account.example.com"),), tls=True)
    reports = Request(ports.appid, (("X-Marathon-App-Id", "/team/reports"),))
    wiki = vhost("wiki.example.com", "/", ("Authorization", AUTHORIZATION))
    same_task = r'("task":"[^"]+").*\n.*\1.*\n.*\1'
    return (
        Example("vhost", vhost(STEADY_HOST), '"app":"/www/home"'),
        Example("path", vhost(STEADY_HOST, "/api/users"), '"app":"/www/api"'),
        Example("app id", reports, '"app":"/team/reports"'),
        Example("sticky", vhost("basket.example.com"), same_task, times=3),
        Example("redirect", vhost("checkout.example.com"), r" 301 .*location: https://checkout\.", shows_head=True),
        Example("https", account, '"app":"/shop/account"'),
        Example("password", wiki, '"app":"/team/wiki"'),
        Example("no password", vhost("wiki.example.com"), " 401 .*Team wiki", shows_head=True),
        Example("tcp port", Request(cache_port(ports.services)), f'"app":"{CACHE}"'),
        Example("internal", vhost("metrics.example.com"), " 503 ", shows_head=True),
        Example("stats", Request(ports.stats, path="/haproxy?stats;csv"), "^# pxname,svname"),
    )


def _head(answer: Answer) -> str:
    lines = [f"HTTP/1.1 {answer.status} ", *(f"{name}: {value}" for name, value in answer.headers.items())]
    return "\r\n".join(lines) + "\r\n\r\n"
