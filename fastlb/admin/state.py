"""How all is, as JSON of plain values: what the page and `fastlb top` show. `/_fastlb/state` answers it as it is.

    board, recent, history, old workers, HAProxy's `show info`, the table of apps --> facts --judge--> one object

    fastlb       version: str, hot_path: str, running_s: float, reached_at: str (host:port of the statistics page)
    now_s        Unix seconds when all of this was so; other times (`at_s`, `first_s`) are Unix seconds, too
    verdict      level: "ok" | "warn" | "bad", title: str, findings: [{level, what, detail}], the worst first
    marathon     urls: [str], asked_at: str (the one that worked last), leader: str ("": nobody said who),
                 readable: bool, failure: str,
                 follows_events: bool, stream_url: str ("" while it is not open), stream_failure: str,
                 event_age_s, read_age_s, agreement_age_s: float | null (null: not since the start)
    haproxy      up: bool, version: str, worker_pid: int | null, uptime_s: int | null, connections: int | null,
                 max_connections: int | null, sessions_per_s: int | null, gone: str (why; "" while it is there)
    old_workers  workers, limit, connections, resident_bytes: int, oldest_s: float
    counts       apps, services, servers: int, up, draining, down: int | null (null: HAProxy did not say);
                 null before anything was decided
    left_out     {reason: {count: int, meaning: str}} for reasons with a count, as in the metric fastlb_left_out
    problems     {count: int, first: [{app, port: int | null, kind, text}], late: str}
    changes      [{at_s, app ("" for all of them), how: "live" | "reload" | "reload failed" | "refused", why,
                 after_event_s: float | null}], newest first
    reloads      [{at_s, ok: bool, seconds: float, after_event_s: float | null, reasons: [str]}], newest first
    incidents    [{at_s, first_s, times: int, kind, said}], newest first
    series       old_workers: [[at_s, workers]] (holds until the next), latency: [[at_s, seconds, how]], oldest first

Texts come from outside as they are, cut at 300 characters or so: whoever shows them makes them harmless. Nothing here
waits for the loop longer than its questions do, and without its answer all but apps and problems is new.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastlb import __version__, kernel
from fastlb.admin.kept import Kept
from fastlb.admin.server_states import ServerCounts
from fastlb.census import REASONS
from fastlb.errors import HAProxyError
from fastlb.verdict import Facts, judge

if TYPE_CHECKING:
    from fastlb.admin.app_list import AppList, Table
    from fastlb.board import Board
    from fastlb.history import History
    from fastlb.marathon import MarathonClient
    from fastlb.metrics.state import Sources
    from fastlb.recent import Recent
    from fastlb.runtime_api import RuntimeApi

    Json = dict[str, Any]

GOOD_FOR_S = 0.5
SHOWN_CHANGES = 30
SHOWN_RELOADS = 20
SHOWN_INCIDENTS = 20
SHOWN_PROBLEMS = 50
LONGEST_TEXT = 300  # characters


@dataclass(frozen=True, slots=True)
class Watched:
    """Who keeps what is shown; ``ours`` as in `Facts`."""

    sources: Sources
    recent: Recent
    history: History
    marathon: MarathonClient
    ours: bool
    hung_after_s: float
    synced_within_s: float


class State:
    """The state, for whoever asks; used in one event loop only."""

    def __init__(self, watched: Watched, apps: AppList) -> None:
        self._watched = watched
        self._apps = apps
        self._kept = Kept(self._make, GOOD_FOR_S)

    async def get(self) -> Json:
        """Return it as it was a moment ago; not to be changed, since others get the same one."""
        return await self._kept.get()

    async def _make(self) -> Json:
        table = await self._apps.table()
        return await asyncio.to_thread(lambda: state_of(self._watched, table, _info(self._watched.sources.haproxy)))


def _info(haproxy: RuntimeApi) -> dict[str, str]:
    try:
        return haproxy.info()
    except HAProxyError:
        return {}


def state_of(watched: Watched, table: Table, info: dict[str, str]) -> Json:
    """Return the object that this page begins with; ``info`` is HAProxy's, empty if it does not answer."""
    now_s, recent = time.monotonic(), watched.recent
    marathon, haproxy, workers = (
        _marathon(watched, now_s),
        _haproxy(watched.sources.board, info),
        _old_workers(watched, now_s),
    )
    return {
        "fastlb": {
            "version": __version__,
            "hot_path": kernel.CHOSEN,
            "running_s": now_s - watched.sources.started_s,
            "reached_at": watched.sources.reached_at,
        },
        "now_s": time.time(),
        "verdict": _verdict(watched, table, marathon, haproxy, now_s),
        "marathon": marathon,
        "haproxy": haproxy,
        "old_workers": workers,
        "counts": _counts(watched.sources.board, table),
        "left_out": _left_out(watched.sources.board),
        "problems": _problems(table),
        "changes": _changes(watched.history),
        "reloads": [reload._asdict() for reload in recent.reloads[:SHOWN_RELOADS]],
        "incidents": [incident._asdict() for incident in recent.incidents[:SHOWN_INCIDENTS]],
        "series": {
            "old_workers": [(seen.at_s, seen.workers) for seen in recent.old_workers],
            "latency": list(recent.latencies),
        },
    }


def _marathon(watched: Watched, now_s: float) -> Json:
    board, recent = watched.sources.board, watched.recent
    return {
        "urls": list(watched.marathon.urls),
        "asked_at": watched.marathon.url,
        "leader": _cut(watched.marathon.leader),
        "readable": board.read_s is not None and not board.fetch_failure,
        "failure": _cut(board.fetch_failure),
        "follows_events": watched.sources.follows_events,
        "stream_url": recent.stream_url,
        "stream_failure": _cut(recent.stream_failure),
        "event_age_s": _age_s(board.event_s, now_s),
        "read_age_s": _age_s(board.read_s, now_s),
        "agreement_age_s": _age_s(board.agreed_s, now_s),
    }


def _haproxy(board: Board, info: dict[str, str]) -> Json:
    return {
        "up": bool(info),
        "version": info.get("Version", ""),
        "worker_pid": _number(info, "Pid"),
        "uptime_s": _number(info, "Uptime_sec"),
        "connections": _number(info, "CurrConns"),
        "max_connections": _number(info, "Maxconn"),
        "sessions_per_s": _number(info, "SessRate"),
        "gone": _cut(board.haproxy_gone),
    }


def _old_workers(watched: Watched, now_s: float) -> Json:
    workers, connections, resident_bytes, since_s = watched.sources.old_workers.totals
    return {
        "workers": workers,
        "limit": watched.sources.old_workers.most,
        "connections": connections,
        "resident_bytes": resident_bytes,
        "oldest_s": _age_s(since_s, now_s) or 0.0,
    }


def _verdict(watched: Watched, table: Table, marathon: Json, haproxy: Json, now_s: float) -> Json:
    board, busy_s = watched.sources.board, _age_s(watched.sources.board.busy_since_s, now_s) or 0.0
    reloads = watched.recent.reloads
    facts = Facts(
        running_s=now_s - watched.sources.started_s,
        hung_s=busy_s if 0 < watched.hung_after_s < busy_s else 0.0,
        fetch_failure=marathon["failure"],
        kept_apps=board.kept_apps,
        agreed_age_s=marathon["agreement_age_s"],
        agreed_within_s=watched.synced_within_s,
        follows_events=watched.sources.follows_events,
        stream_open=bool(marathon["stream_url"]),
        stream_failure=marathon["stream_failure"],
        ours=watched.ours,
        haproxy_up=haproxy["up"],
        gone=_cut(board.haproxy_gone),
        reload_failed=bool(reloads) and not reloads[0].ok,
        left_out=tuple(dict.fromkeys(problem.app_id for problem in table.problems)),
        without_servers=tuple(row.id for row in table.rows if row.is_down),
        old_workers=watched.sources.old_workers.totals.workers,
        old_limit=watched.sources.old_workers.most,
    )
    level, title, findings = judge(facts)
    return {"level": level, "title": title, "findings": [finding._asdict() for finding in findings]}


def _counts(board: Board, table: Table) -> Json | None:
    census = board.census
    if census is None:
        return None
    states = table.servers._asdict() if table.servers is not None else dict.fromkeys(ServerCounts._fields)
    return {"apps": census.apps, "services": census.services, "servers": census.servers, **states}


def _left_out(board: Board) -> Json:
    counts = board.census.left_out if board.census is not None else {}
    return {kind: {"count": count, "meaning": REASONS[kind]} for kind, count in counts.items() if count}


def _problems(table: Table) -> Json:
    first = [
        {"app": each.app_id, "port": each.port, "kind": each.kind, "text": _cut(each.text)}
        for each in table.problems[:SHOWN_PROBLEMS]
    ]
    return {"count": len(table.problems), "first": first, "late": table.late}


def _changes(history: History) -> list[Json]:
    return [
        {"at_s": one.at_s, "app": app_id, "how": one.how, "why": one.why, "after_event_s": one.after_event_s}
        for app_id, one in history.last[:SHOWN_CHANGES]
    ]


def _age_s(since_s: float | None, now_s: float) -> float | None:
    return None if since_s is None else max(0.0, round(now_s - since_s, 3))


def _number(info: dict[str, str], name: str) -> int | None:
    text = info.get(name, "")
    return int(text) if text.isdecimal() else None


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}..."
