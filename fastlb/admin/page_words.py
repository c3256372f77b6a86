"""How values are written in the page: times, ages, sizes, links; and nothing that comes from outside as it is.

Pure. Whatever a template writes goes through `shown`: what is not printable is escaped, what is very long is cut; that
HTML is escaped is up to jinja2. Only links and plots, which are made here and in `plots`, are HTML already.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from markupsafe import Markup, escape

from fastlb.explain_text import harmless

NONE = "-"
MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400
KIB = 1024


def shown(value: Any) -> Any:
    """Return what jinja2 is to write for a value; it escapes HTML in all of it that is not Markup."""
    return harmless(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def link(app_id: str) -> Markup:
    """Return where the page about an app is."""
    return escape(f"/_fastlb/app?id={quote(app_id, safe='/', errors='replace')}")


def plain_link(app_id: str) -> Markup:
    """Return where the same is as text."""
    return escape(f"/_fastlb/explain?app={quote(app_id, safe='/', errors='replace')}")


def turn(number: int, search: str, show: str) -> Markup:
    """Return where another page of the same table is."""
    words = {"search": search, "show": show, "page": str(number)}
    return escape(f"?{urlencode({name: word for name, word in words.items() if word}, errors='replace')}#apps")


def moment(at_s: float) -> str:
    """Return a time in full, for machines and for whoever points at it."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def clock(at_s: float) -> str:
    """Return a time of the day."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%H:%M:%S")


def duration(seconds: float | None) -> str:
    """Return how long something took, to two digits or three."""
    if seconds is None:
        return NONE
    if seconds < 0.0095:
        return f"{seconds * 1000:.1f} ms"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def span(seconds: float | None) -> str:
    """Return for how long something has been so, in its two largest units."""
    if seconds is None:
        return NONE
    whole = int(seconds)
    if whole < MINUTE_S:
        return f"{whole} s"
    if whole < HOUR_S:
        return f"{whole // MINUTE_S} min {whole % MINUTE_S} s"
    if whole < DAY_S:
        return f"{whole // HOUR_S} h {whole % HOUR_S // MINUTE_S} min"
    return f"{whole // DAY_S} d {whole % DAY_S // HOUR_S} h"


def age(seconds: float | None) -> str:
    """Return how long ago something was."""
    return "never" if seconds is None else f"{span(seconds)} ago"


def thousands(number: int | None) -> str:
    """Return a number in groups of three digits."""
    return NONE if number is None else f"{number:,}"


def size(number: int) -> str:
    """Return a number of bytes."""
    return f"{number / KIB**2:.0f} MB" if number < 10 * KIB**3 else f"{number / KIB**3:.1f} GB"


def status(word: str) -> str:
    """Return the colour of HAProxy's word for the state of a server."""
    if word.startswith(("UP", "no check", "OPEN")):
        return "ok"
    return "bad" if word.startswith("DOWN") else "warn"


def more(values: list[Any], most: int, columns: int) -> Markup:
    """Return a table's last row if it shows only the first ``most`` values."""
    left = len(values) - most
    row = Markup('<tr><td colspan="{}" class="quiet">and {} more</td></tr>')
    return row.format(columns, left) if left > 0 else Markup("")


FILTERS = {
    "age": age,
    "bytes": size,
    "clock": clock,
    "duration": duration,
    "link": link,
    "moment": moment,
    "plain_link": plain_link,
    "span": span,
    "status": status,
    "thousands": thousands,
    "turn": turn,
}
