"""How generated text depends on HAProxy's version: everything of that kind is here and nowhere else.

- Before 2.1 the directives of the ``req``/``rsp`` family exist, and three default templates use them as marathon-lb
  does; from 2.1 on their replacements of COMPAT.md 11 are written.
- From 3.3 on a frontend and a backend may not share a name, which marathon-lb's always do. There the frontends of
  services (and of grouped vhosts) get the suffix ``_in``; backends, maps, servers and everything else keep their names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from fastlb.errors import UsageError

FRONTEND_SUFFIX = "_in"
_FRONTEND_LINE = re.compile(r"^([ \t]*frontend[ \t]+)(\{\{?[ \t]*(?:backend|name)[ \t]*\}\}?)[ \t]*\r?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Dialect:
    """The text that HAProxy ``version`` (major, minor) understands."""

    version: tuple[int, int]

    @property
    def has_req_rsp(self) -> bool:
        """Whether ``reqirep``, ``rspadd`` and ``rspirep`` still exist."""
        return self.version < (2, 1)

    @property
    def shares_names(self) -> bool:
        """Whether a frontend and a backend may have the same name."""
        return self.version < (3, 3)

    def adapt_frontend(self, text: str) -> str:
        """Rename the frontend that a template text opens, in either template language, where names are not shared."""
        return text if self.shares_names else _FRONTEND_LINE.sub(rf"\g<1>\g<2>{FRONTEND_SUFFIX}", text)


def parse_version(text: str) -> tuple[int, int]:
    """Return (major, minor) of a text like ``2.6`` or ``3.0.11``. Raises UsageError for anything else."""
    match = re.fullmatch(r"(\d{1,4})\.(\d{1,4})(?:[.-].*)?", text.strip())
    if not match:
        raise UsageError(f"{text!r} is no HAProxy version; two numbers like 2.6 are needed")
    return int(match[1]), int(match[2])
