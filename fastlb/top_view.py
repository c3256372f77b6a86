"""How all is, drawn for a terminal: the state of `admin/state` to lines that fit the screen.

    state, width, height --> picture

Pure. The state may be old, and its texts come from outside: each is one line in which nothing is left that a terminal
acts on. All lines are cut to the screen, so that on a small one the lists get shorter and nothing scrolls.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Group
from rich.text import Text

from fastlb.printable import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    State = Mapping[str, Any]

LONGEST_TEXT = 300  # characters
COLOURS = {"ok": "bold white on green4", "warn": "bold black on yellow3", "bad": "bold white on red3"}
HOWS = {"live": "cyan", "reload": "blue", "reload failed": "bold red", "refused": "yellow"}
BARS = "▁▂▃▄▅▆▇█"
MOST_BARS = 24
MOST_FINDINGS = 3
FEWEST_ROWS = 3
"""Of a list, its title included, on a small screen."""
GIB, MIB = 2**30, 2**20


class Screen(NamedTuple):
    """The size of the terminal; ``hint`` is its last line, "" for none; ``now_s`` is the time, Unix seconds."""

    width: int
    height: int
    now_s: float
    hint: str = ""


def picture(state: State | None, failure: str, screen: Screen) -> Group:
    """Return the lines of the screen.

    Args:
        state: what fastlb answered last; None if it never did.
        failure: why it does not answer now; "" if it does.
        screen: what they have to fit on.

    """
    lines = _unanswered(state, failure, screen.now_s) if failure else []
    rows = max(screen.height - bool(screen.hint), 1)
    if state is not None:
        lines += _head(state, screen.width)
        lines += _lists(state, rows - len(lines))
    lines = lines[:rows]
    if screen.hint and screen.height > rows:
        lines += [Text("")] * (rows - len(lines)) + [Text(screen.hint, "dim")]
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
        line.truncate(screen.width, overflow="ellipsis")
    return Group(*lines)


def _unanswered(state: State | None, failure: str, now_s: float) -> list[Text]:
    old = "" if state is None else f"; what is below is {_age(now_s - state['now_s'])} old"
    return [Text(f" fastlb does not answer, still trying{old} ", COLOURS["bad"]), Text(f" {_shown(failure)}", "red")]


def _head(state: State, width: int) -> list[Text]:
    verdict, fastlb = state["verdict"], state["fastlb"]
    up = f"fastlb {_shown(fastlb['version'])}, up {_age(fastlb['running_s'])}"
    right = f"{up}   {_clock(state['now_s'])} UTC "
    left = f" {_shown(verdict['title'])}"
    title = Text(left.ljust(max(width - len(right), len(left) + 3)) + right, COLOURS.get(verdict["level"], "bold"))
    findings = verdict["findings"][:MOST_FINDINGS]
    lines = [title]
    lines += [Text(f" {_shown(one['what'])}: {_shown(one['detail'])}", _warning(one["level"])) for one in findings]
    facts = (
        ("Marathon", _marathon(state["marathon"])),
        ("HAProxy", _haproxy(state["haproxy"])),
        ("old", _old_workers(state["old_workers"], state["series"]["old_workers"])),
        ("apps", _counts(state["counts"], state["left_out"])),
        ("latency", _latency([seconds for _, seconds, _ in state["series"]["latency"]])),
    )
    return [*lines, *(Text.assemble((f" {name:<9}", "bold"), text) for name, text in facts)]


def _warning(level: str) -> str:
    return {"bad": "red", "warn": "yellow"}.get(level, "")


def _marathon(marathon: State) -> Text:
    if not marathon["readable"]:
        return Text(f"cannot be read: {_shown(marathon['failure'] or 'nothing was read yet')}", "bold red")
    ages = f"event {_ago(marathon['event_age_s'])}, agreement {_ago(marathon['agreement_age_s'])}"
    if marathon["follows_events"] and not marathon["stream_url"]:
        return Text(f"no event stream: {_shown(marathon['stream_failure'])}; {ages}", "yellow")
    return Text(f"{_shown(marathon['asked_at'] or ', '.join(marathon['urls']))}, {ages}")


def _haproxy(haproxy: State) -> Text:
    if not haproxy["up"]:
        return Text(f"does not answer {_shown(haproxy['gone'])}".rstrip(), "bold red")
    load = f"{_number(haproxy['connections'])} of {_number(haproxy['max_connections'])} connections"
    rate = f"{_number(haproxy['sessions_per_s'])} sessions/s"
    worker = f"worker {haproxy['worker_pid']} up {_age(haproxy['uptime_s'] or 0)}"
    return Text(f"{_shown(haproxy['version'])}, {worker}, {load}, {rate}")


def _old_workers(old: State, series: Sequence[Sequence[float]]) -> Text:
    if not old["workers"]:
        text = f"no old workers (limit {old['limit']})"
    else:
        size = f"{_bytes(old['resident_bytes'])}, {_number(old['connections'])} connections"
        text = f"{old['workers']} of {old['limit']} workers, oldest {_age(old['oldest_s'])}, {size}"
    return Text(f"{text}  {_bars([workers for _, workers in series])}".rstrip())


def _counts(counts: State | None, left_out: Mapping[str, State]) -> Text:
    if counts is None:
        return Text("nothing was decided yet")
    text = Text(f"{_number(counts['apps'])} apps, {_number(counts['services'])} services, ")
    text.append(f"{_number(counts['servers'])} servers")
    states = [f"{_number(counts[name])} {name}" for name in ("up", "draining", "down") if counts[name] is not None]
    text.append(f" ({', '.join(states)})" if states else "")
    missing = sum(one["count"] for one in left_out.values())
    if missing:
        kinds = ", ".join(f"{one['count']} {_shown(kind).replace('_', ' ')}" for kind, one in left_out.items())
        text.append(f"; left out: {kinds}", "yellow")
    return text


def _latency(seconds: Sequence[float]) -> Text:
    if not seconds:
        return Text("no change yet")
    ordered = sorted(seconds)
    middle, slowest = ordered[len(ordered) // 2], ordered[-1]
    text = f"last {_ms(seconds[-1])}, median {_ms(middle)}, slowest {_ms(slowest)} of {len(ordered)}"
    return Text(f"{text}  {_bars(seconds)}")


def _lists(state: State, rows: int) -> list[Text]:
    """Return the lists below, each with its share of ``rows``; what one does not need the changes get."""
    reloads, problems = state["reloads"], state["problems"]
    wanted = [
        ("trouble", [_incident(one) for one in state["incidents"]]),
        (f"reloads{'' if reloads else ': none yet'}", [_reload(one) for one in reloads]),
        (f"left out: {_number(problems['count'])}", [_problem(one) for one in problems["first"]]),
    ]
    lists: list[Text] = []
    for title, lines in wanted if rows >= 4 * FEWEST_ROWS else ():
        if lines:
            lists += [Text(f" {title}", "bold underline"), *lines[: max(rows // 5, FEWEST_ROWS) - 1]]
    changes = [_change(one) for one in state["changes"]]
    room = max(rows - len(lists) - 1, 0)
    return [Text(f" changes{'' if changes else ': none yet'}", "bold underline"), *changes[:room], *lists]


def _change(change: State) -> Text:
    how = _shown(change["how"])
    after = "" if change["after_event_s"] is None else f" after {_ms(change['after_event_s'])}"
    app = _shown(change["app"]) or "all apps"
    return Text.assemble(
        f" {_clock(change['at_s'])} ", (f"{how:<7}", HOWS.get(how, "")), f" {app}{after}: ", _shown(change["why"])
    )


def _reload(reload: State) -> Text:
    outcome = ("ok    ", "green") if reload["ok"] else ("failed", "bold red")
    reasons = "; ".join(map(_shown, reload["reasons"]))
    return Text.assemble(f" {_clock(reload['at_s'])} ", outcome, f" in {_ms(reload['seconds'])}: {reasons}")


def _incident(incident: State) -> Text:
    times = f" ({incident['times']} times)" if incident["times"] > 1 else ""
    what = f"{_shown(incident['kind']).replace('_', ' ')}{times}"
    return Text.assemble(f" {_clock(incident['at_s'])} ", (what, "yellow"), f": {_shown(incident['said'])}")


def _problem(problem: State) -> Text:
    port = "" if problem["port"] is None else f" (port {problem['port']})"
    return Text.assemble((f" {_shown(problem['app'])}{port}", "yellow"), f": {_shown(problem['text'])}")


def _bars(values: Sequence[float]) -> str:
    """Return the last values as a small plot from 0 to the highest of them."""
    last = values[-MOST_BARS:]
    highest = max(last, default=0)
    if not highest:
        return ""
    return "".join(BARS[min(int(value / highest * len(BARS)), len(BARS) - 1)] for value in last)


def _shown(text: object) -> str:
    return one_line(str(text), LONGEST_TEXT)


def _clock(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%H:%M:%S")


def _ago(age_s: float | None) -> str:
    return "never" if age_s is None else f"{_age(age_s)} ago"


def _age(seconds: float) -> str:
    units: tuple[tuple[float, str, Callable[[float], float]], ...] = (
        (120, "s", lambda s: s),
        (7200, "min", lambda s: s / 60),
        (172_800, "h", lambda s: s / 3600),
    )
    for limit, unit, scaled in units:
        if seconds < limit:
            return f"{scaled(seconds):.0f} {unit}"
    return f"{seconds / 86_400:.0f} days"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 10 else f"{seconds:.0f} s"


def _bytes(count: float) -> str:
    return f"{count / GIB:.1f} GiB" if count >= GIB else f"{count / MIB:.0f} MiB"


def _number(count: int | None) -> str:
    return "?" if count is None else f"{count:,}"
