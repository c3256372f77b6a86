"""marathon-lb as a black box beside fastlb: a checkout and an interpreter that the user points to.

It is run by its documented flags, in a folder of its own whose ``templates/`` keep all of it on one loopback address.
Its HAProxy is a master with the same settings as fastlb's, and is reloaded by a signal; the dump of server states that
its container makes before each reload is left out, to its advantage.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import psutil

from benchmarks.programs import OWN_PORTS, STOP_WITHIN_S, Program, resident_mb, until
from fastlb.haproxy import find_haproxy

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """\
global
  spread-checks 5
  max-spread-checks 15000
  maxconn 1000
  no strict-limits
  hard-stop-after 60s
  stats socket {folder}/socket mode 600 level admin expose-fd listeners
defaults
  retries                   3
  backlog               10000
  maxconn                1000
  timeout connect          3s
  timeout client          30s
  timeout server          30s
  timeout tunnel        3600s
  timeout http-keep-alive  1s
  timeout http-request    15s
  timeout queue           30s
  option            dontlognull
  option            http-server-close
  option            redispatch
listen stats
  bind {address}:{stats_port}
  mode http
  stats enable
"""
TEMPLATES = {
    "HAPROXY_HEAD": HEAD,
    "HAPROXY_HTTP_FRONTEND_HEAD": "\nfrontend marathon_http_in\n  bind {address}:{http_port}\n  mode http\n",
    "HAPROXY_HTTP_FRONTEND_APPID_HEAD": "\nfrontend marathon_appid_in\n  bind {address}:{appid_port}\n  mode http\n",
    "HAPROXY_HTTPS_FRONTEND_HEAD": "\nfrontend marathon_https_in\n  bind {address}:{https_port}\n  mode http\n",
    "HAPROXY_FRONTEND_HEAD": "\nfrontend {{backend}}_in\n  bind {address}:{{servicePort}}\n  mode {{mode}}\n",
    "HAPROXY_BACKEND_HSTS_OPTIONS": "  http-response add-header Strict-Transport-Security max-age=15768000\n",
}
"""The default head without Lua; default frontends at one address; one default that HAProxy has refused since 2.1."""


class Checkout(NamedTuple):
    """Where marathon-lb is, and the Python that has what it needs."""

    folder: Path
    python: Path

    def words(self, marathon: str, config: Path, command: str, *more: str) -> list[str]:
        """Return the command line that follows Marathon's events."""
        return [
            *(str(self.python), str(self.folder / "marathon_lb.py"), "--sse", "--marathon", marathon),
            *("--group", "external", "--health-check", "--haproxy-map", "--haproxy-config", str(config)),
            *("--command", command, "--syslog-socket", "/dev/null", "--log-level", "INFO", "--archive-versions", "1"),
            *more,
        ]


class MarathonLb(Program):
    """marathon-lb and its HAProxy."""

    name = "marathon-lb"

    def __init__(self, checkout: Checkout, marathon: str, address: str, folder: Path) -> None:
        self.address = address
        self.config = folder / "haproxy.cfg"
        self._haproxy = _HAProxy(address, folder)
        path = f"{self._haproxy.program.parent}:{os.environ['PATH']}"
        words = checkout.words(marathon, self.config, f"{self._haproxy.reload}")
        super().__init__(words, folder, "marathon-lb", PATH=path)

    def __enter__(self) -> Self:
        write_templates(self.folder, self.address)
        self._haproxy.__enter__()
        return super().__enter__()

    def __exit__(self, *details: object) -> None:
        super().__exit__(*details)
        self._haproxy.__exit__(*details)

    def journal(self) -> list[dict[str, Any]]:
        """Return nothing: it does not tell."""
        return []

    def processor_s(self) -> float:
        """Return the processor time that it has used, without HAProxy's."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)

    def memory_mb(self) -> dict[str, float]:
        """Return the resident memory of each part."""
        haproxy = resident_mb(self._haproxy.tree())
        return {"controller": resident_mb(self.tree()), "HAProxy, master and workers": haproxy}


class _HAProxy(Program):
    """A HAProxy master that serves nothing until its configuration is replaced and ``reload`` is run."""

    def __init__(self, address: str, folder: Path) -> None:
        self.program = find_haproxy(None, os.environ).path
        config, pid = folder / "haproxy.cfg", folder / "haproxy.pid"
        self._first = fill(HEAD, folder, address)
        self._config = config
        self.reload = folder / "reload"
        super().__init__([self.program, "-W", "-f", config, "-p", pid], folder, "haproxy")

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._config.write_text(self._first)
        super().__enter__()
        self.reload.write_text(f"#!/bin/sh\nkill -USR2 {self.process.pid}\n")
        self.reload.chmod(0o755)
        until(lambda: len(self.tree()) > 1, STOP_WITHIN_S, "worker of HAProxy")
        return self

    def __exit__(self, *details: object) -> None:
        workers = self.tree()[1:]
        super().__exit__(*details)
        for worker in workers:
            with suppress(psutil.NoSuchProcess):
                worker.kill()


def write_templates(folder: Path, address: str) -> None:
    """Write the templates that keep marathon-lb on one address to where it looks for them."""
    templates = folder / "templates"
    templates.mkdir(parents=True, exist_ok=True)
    for name, text in TEMPLATES.items():
        (templates / name).write_text(fill(text, folder, address))


def fill(text: str, folder: Path, address: str) -> str:
    """Fill in addresses, ports and the folder; doubled braces stay for marathon-lb."""
    ports = {name.removeprefix("--").replace("-", "_"): port for name, port in OWN_PORTS.items()}
    return text.format(folder=folder, address=address, **ports)
