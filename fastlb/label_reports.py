"""The labels of one app, one by one: what each means, how it was read, and what is wrong with it.

    labels of an app --the tables of labels and meanings--> LabelReport(s)

Pure. How a value is read is asked of `labels.parse`, one label at a time. A name that means nothing is compared with
all that mean something, since that is how most of them came about.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from fastlb.errors import ServiceError
from fastlb.explanation import LabelReport
from fastlb.labels import LABELS, by_index, parse
from fastlb.masking import masked_label
from fastlb.meanings import APP_MEANINGS, NEVER_READ, TEMPLATE_MEANINGS, VALUE_MEANINGS
from fastlb.model import ServiceOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "HAPROXY"
CLOSE_ENOUGH = 0.6  # difflib's own
LONGEST_COMPARED = 100  # characters; no name is as long, and comparing takes the square of it
FALSE_WORDS = frozenset({"", "false", "f", "no", "n"})

_SHORT_NUMBER = re.compile("[0-9]{1,9}")
_PER_SERVICE = {f"HAPROXY_{{n}}_{name}": name for name in sorted((*LABELS, *NEVER_READ))}


def label_reports(labels: Mapping[str, Any], services: int) -> tuple[LabelReport, ...]:
    """Report on every label of an app with so many service ports that was meant for a load balancer."""
    meant = sorted(name for name in labels if name.upper().startswith(PREFIX))
    return tuple(_report(name, labels[name], services) for name in meant)


def _report(name: str, value: object, services: int) -> LabelReport:
    shown = masked_label(name, value if isinstance(value, str) else repr(value))
    if name in APP_MEANINGS:
        return LabelReport(name, shown, APP_MEANINGS[name], "", "")
    indexed = by_index({name: value})
    for index, label in indexed.items():
        (short,) = label
        if short in NEVER_READ:
            return LabelReport(name, shown, "a map rule", "", "it is accepted, and never read")
        if short in LABELS:
            read_as, problem = _read(index, short, value, services)
            return LabelReport(name, shown, (VALUE_MEANINGS | TEMPLATE_MEANINGS)[short], read_as, problem)
    return LabelReport(name, shown, "", "", _unknown(name, next(iter(indexed), None)))


def _read(index: int, short: str, value: object, services: int) -> tuple[str, str]:
    """Return how a value is read if that is not what it says, and what is wrong with it."""
    if index >= services:
        return "", f"there is no service {index}: the app has {services} service port(s), counted from 0"
    field, kind = LABELS[short]
    try:
        options = parse(index, {short: value}, ServiceOptions())
    except ServiceError as error:
        # The sentence about a label with a password may quote it.
        return "", "it cannot be read; realm:user:password hash is needed" if kind == "auth" else str(error)
    if kind == "bool":
        read = bool(getattr(options, field))
        odd = not read and str(value).lower() not in FALSE_WORDS
        return "yes" if read else "no", "only true, t, yes and y mean yes" if odd else ""
    if kind in {"template", "auth", "texts"}:
        return "", ""
    read_as = str(getattr(options, field))
    return (read_as if read_as != str(value) else ""), ""


def _unknown(name: str, index: int | None) -> str:
    """Say which real name a name without meaning is closest to."""
    if index is None:
        index = next((int(part) for part in name.split("_") if _SHORT_NUMBER.fullmatch(part)), 0)
    real = [*APP_MEANINGS, *(known.replace("{n}", str(index)) for known in _PER_SERVICE)]
    close = get_close_matches(name.upper(), real, 1, CLOSE_ENOUGH) if len(name) <= LONGEST_COMPARED else []
    return f"no label has this name; did you mean {close[0]}?" if close else "no label has this name"
