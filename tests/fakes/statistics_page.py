"""The statistics of a load balancer that does as deployment groups say, over HTTP, made from a simulated Marathon.

It is no HAProxy: it serves nobody. It shows what one would show, at once, so that a deployer's decisions and exit codes
can be tested without traffic; tests/zdd has the traffic, with real ones.
"""

from __future__ import annotations

import contextlib
import http.server
import threading
from typing import TYPE_CHECKING, Any

import orjson

from fastlb.deployment import merge_groups
from fastlb.reading import read_app
from fastlb.services import places_of
from fastlb.simulator import shapes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastlb.model import App
    from fastlb.simulator.server import SimulatedMarathon

HEAD = "# pxname,svname,qcur,scur,status,addr,-,unheard_of,\n"


class StatisticsPage:
    """One load balancer. ``spoil`` changes what it answers; ``held`` are the sessions of tasks, by id."""

    def __init__(self, marathon: SimulatedMarathon) -> None:
        self._marathon = marathon
        self.url = ""
        self.asked = 0
        self.held: dict[str, int] = {}
        self.never_out = False
        self.spoil: Callable[[str], str] = lambda text: text

    def text(self) -> str:
        """The page as it is now."""
        rows = [HEAD, "web,FRONTEND,,,OPEN,,,,\n"]
        for app in self._apps():
            for task in app.tasks:
                places = sorted(places_of(app, task, {}))
                if task.state != "TASK_RUNNING" or not places:
                    continue
                host, port = places[0]
                out = task.draining and not self.never_out
                status = "MAINT" if out else "UP" if task.alive or not app.health_checks else "DOWN"
                name, held = f"{task.host.replace('.', '_')}_{port}", self.held.get(task.id, 0)
                rows.append(f"{app.id[1:]}_10000,{name},0,{held},{status},{host}:{port},,1,\n")
        return self.spoil("".join(rows))

    def _apps(self) -> list[App]:
        documents = self._marathon.call(
            lambda service: [
                orjson.loads(shapes.app_bytes(app, service.cluster.world.dialect, frozenset({"tasks"})))
                for app in service.cluster.apps.values()
            ]
        )
        return merge_groups([read_app(document) for document in documents])[0]


@contextlib.contextmanager
def statistics_page(marathon: SimulatedMarathon) -> Iterator[StatisticsPage]:
    """One such load balancer, listening."""
    page = StatisticsPage(marathon)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page.asked += 1
            known: dict[str, Callable[[], str]] = {
                "/haproxy?stats;csv": page.text,
                "/_haproxy_getpids": lambda: "1 2\n",
            }
            found = known.get(self.path)
            body = found().encode() if found else b"no such page"
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # who asked may have been killed
                self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        page.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield page
        finally:
            server.shutdown()
            thread.join()
