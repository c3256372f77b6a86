"""Whether all is well, in one sentence that somebody who was just woken up understands, and what is not.

    Facts --judge--> Verdict: a level, a title, findings with the worst ones first

Pure. `bad` is what may be wrong for users now or soon, `warn` what can wait for the morning; nothing is said twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

Level = Literal["ok", "warn", "bad"]

WELL = "All is well"
STARTING_FOR_S = 60.0
"""So long after its start it is no trouble yet that HAProxy was given nothing."""
MOST_NAMED = 5


class Facts(NamedTuple):
    """What is judged; ages in seconds, None if it never happened. ``*_failure`` and ``gone`` say why, else are empty.

    ``ours``: HAProxy is run by fastlb, which then has to answer. ``kept_apps`` counts those that Marathon names no more
    and that are kept for now. ``left_out`` are apps of which something is, ``without_servers`` those that are exposed
    and have no server that is up. ``old_limit`` is how many old workers there may be.
    """

    running_s: float
    hung_s: float
    fetch_failure: str
    kept_apps: int
    agreed_age_s: float | None
    agreed_within_s: float
    follows_events: bool
    stream_open: bool
    stream_failure: str
    ours: bool
    haproxy_up: bool
    gone: str
    reload_failed: bool
    left_out: tuple[str, ...]
    without_servers: tuple[str, ...]
    old_workers: int
    old_limit: int


class Finding(NamedTuple):
    """One thing that is wrong: what, and a sentence on what it means or why it is so."""

    level: Level
    what: str
    detail: str


class Verdict(NamedTuple):
    """All findings; ``title`` says the worst of them."""

    level: Level
    title: str
    findings: tuple[Finding, ...]


def judge(facts: Facts) -> Verdict:
    """Return what is to be said of these facts."""
    own, apps = [*_haproxy(facts), *_fastlb(facts), *_marathon(facts)], tuple(_apps(facts))
    own.sort(key=lambda finding: finding.level == "warn")
    if own:
        return Verdict(own[0].level, own[0].what, (*own, *apps))
    if apps:
        concerned = {*facts.left_out, *facts.without_servers}
        return Verdict("warn", f"{WELL}, but for {_count(len(concerned), 'app')}", apps)
    return Verdict("ok", WELL, ())


def _haproxy(facts: Facts) -> Iterator[Finding]:
    if facts.gone:
        yield Finding("bad", "HAProxy is gone", f"{facts.gone}; it is started again on the files on disk")
    elif not facts.haproxy_up and facts.ours:
        yield Finding("bad", "HAProxy does not answer", "nobody answers at its Runtime API")
    elif not facts.haproxy_up:
        yield Finding("warn", "HAProxy cannot be asked", "nobody answers at its Runtime API; it may well serve")
    if facts.reload_failed:
        yield Finding("bad", "The last reload failed", "HAProxy goes on with what it had; the reload is tried again")
    if facts.old_workers >= facts.old_limit > 0:
        detail = f"{facts.old_workers} old workers are at their limit; the next reload waits, or one of them is ended"
        yield Finding("warn", "Old workers are at their limit", detail)


def _fastlb(facts: Facts) -> Iterator[Finding]:
    if facts.hung_s > 0:
        yield Finding("bad", "fastlb hangs", f"its loop has been busy for {facts.hung_s:.0f} s")


def _marathon(facts: Facts) -> Iterator[Finding]:
    stays = "what HAProxy serves stays as it is"
    if facts.fetch_failure:
        yield Finding("bad", "Marathon cannot be read", f"{facts.fetch_failure}; {stays}")
    elif facts.agreed_age_s is None:
        level: Level = "warn" if facts.running_s < STARTING_FOR_S else "bad"
        yield Finding(level, "fastlb is starting", "HAProxy has not been given yet what Marathon says")
    elif facts.agreed_age_s > facts.agreed_within_s:
        yield Finding("bad", "HAProxy is behind Marathon", f"they last agreed {facts.agreed_age_s:.0f} s ago; {stays}")
    if facts.kept_apps:
        detail = "Marathon names them, or tasks of them, no more; they are kept for now (SIGHUP gives them up)"
        yield Finding("bad", f"{_count(facts.kept_apps, 'app')} missing all at once", detail)
    if facts.follows_events and not facts.stream_open and not facts.fetch_failure and facts.agreed_age_s is not None:
        why = facts.stream_failure or "it was not open yet"
        yield Finding("warn", "Marathon's event stream is lost", f"{why}; changes are seen at the next full read")


def _apps(facts: Facts) -> Iterator[Finding]:
    if facts.without_servers:
        what = f"{_count(len(facts.without_servers), 'app')} without a server that is up"
        yield Finding("warn", what, f"HAProxy has nowhere to send requests for {_named(facts.without_servers)}")
    if facts.left_out:
        what = f"{_count(len(facts.left_out), 'app')} with something left out"
        yield Finding("warn", what, f"{_named(facts.left_out)}; the reasons are below")


def _named(app_ids: tuple[str, ...]) -> str:
    more = len(app_ids) - MOST_NAMED
    return ", ".join(app_ids[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
