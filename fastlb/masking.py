"""Secrets taken out of texts that people are shown: passwords and keys of userlists and of the statistics page.

Pure. It errs on the side of hiding: what stands where a password stands is hidden, whatever it is.
"""

from __future__ import annotations

import re

MASK = "***"

_SECRET = re.compile(r"(?m)^(\s*user\s+\S+\s+(?:password|insecure-password)\s+|\s*stats\s+auth\s+[^\s:]+:)\S+")

_SECRET_IN_WORDS = re.compile(
    r"(?i)(://[^/\s:@]*:)[^/\s@]+(?=@)"
    r"|(\buser\s+\S+\s+(?:insecure-)?password\s+)\S+"
    r"|(\bstats\s+auth\s+[^\s:]+:)\S+"
    r"|(\b(?:proxy-)?authorization\b\W{1,4}(?:(?:basic|bearer|token)\b\W)?\s*)[\w+/.=~-]+"
    r"|(\bx-vault-token\b\W{1,4})[\w.-]+"
)
"""A password in a URL, of a userlist or the statistics page, and what headers carry, in the middle of a sentence."""

_HOLDS_PASSWORD = re.compile(r"(?<!WITH_)(?<!AND_)AUTH")


def masked(text: str) -> str:
    """Return a piece of configuration with its passwords hidden."""
    return _SECRET.sub(rf"\1{MASK}", text)


def without_secrets(sentence: str) -> str:
    """Return a sentence, which may quote configuration, URLs or headers, with the passwords in it hidden."""
    return _SECRET_IN_WORDS.sub(lambda found: "".join(part or "" for part in found.groups()) + MASK, sentence)


def masked_label(name: str, value: str) -> str:
    """Return the value of a label with what may be its password hidden; ``name`` is all of its name."""
    if not _HOLDS_PASSWORD.search(name.upper()):
        return masked(value)
    realm, _, rest = value.partition(":")
    user, colon, _ = rest.partition(":")
    return f"{realm}:{user}:{MASK}" if colon else MASK
