"""Marathon's label selectors: text to a predicate over labels (MARATHON.md 1.2).

Pure. A small recursive reading of ``term {"," term}``; every term needs its key to exist, `!=` and `notin`
too.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fastlb.simulator.refusals import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Selector = Callable[[Mapping[str, str]], bool]

WORD = r"(?:[-A-Za-z0-9_.]|\\.)+"
SPACE = r"\s*"
VALUES = rf"\({SPACE}(?P<values>(?:{WORD}{SPACE}(?:,{SPACE}{WORD}{SPACE})*)?)\)"
TERM = re.compile(
    rf"{SPACE}(?P<key>{WORD}){SPACE}"
    rf"(?:(?P<compare>==|!=){SPACE}(?P<value>{WORD})|(?P<member>in|notin){SPACE}{VALUES})?{SPACE}(?P<end>,|$)",
    re.DOTALL,
)


def parse_selector(text: str) -> Selector:
    """The predicate that ``text`` describes; an empty text selects everything. Raises Refusal (422)."""
    terms = []
    position = 0
    while position < len(text):
        term = TERM.match(text, position)
        if term is None or (term["end"] == "," and term.end() == len(text)):
            raise Refusal(422, f"Can not parse label selector '{text}' at position {position}")
        terms.append(_predicate(term))
        position = term.end()
    return lambda labels: all(holds(labels) for holds in terms)


def _predicate(term: re.Match[str]) -> Selector:
    key = _plain(term["key"])
    if term["compare"]:
        values, wanted = {_plain(term["value"])}, term["compare"] == "=="
    elif term["member"]:
        values = {_plain(word) for word in re.findall(WORD, term["values"], re.DOTALL)}
        wanted = term["member"] == "in"
    else:
        return lambda labels: key in labels
    return lambda labels: key in labels and (labels[key] in values) is wanted


def _plain(word: str) -> str:
    return re.sub(r"\\(.)", r"\1", word, flags=re.DOTALL)
