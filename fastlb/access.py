"""Who may use which administrative path: by network, by token, everybody, or nobody.

Pure. Of the rules whose path is the beginning of the one asked for, the longest decides. Without rules of an operator
it is marathon-lb's openness for everything that is read, while signals are taken from private and loopback networks.
"""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastlb.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

PRIVATE = tuple(
    ipaddress.ip_network(each)
    for each in "127.0.0.0/8 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 169.254.0.0/16 ::1/128 fc00::/7 fe80::/10".split()
)
EVERYBODY = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
DEFAULTS = ("/=any", "/_mlb_signal/=private")


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may use paths that begin so: whose address is in a network, or who has the token."""

    path: str
    networks: tuple[Network, ...]
    by_token: bool


@dataclass(frozen=True, slots=True)
class Access:
    """All rules, the longest path first, and the token, empty if there is none."""

    rules: tuple[Rule, ...]
    token: str

    def refusal(self, path: str, client: str, token: str) -> str:
        """Return why a client may not use a path, empty if it may; ``client`` is its address."""
        rule = next(rule for rule in self.rules if path.startswith(rule.path))
        if rule.by_token and hmac.compare_digest(_bytes(token), _bytes(self.token)):
            return ""
        address = _address(client)
        if address is not None and any(address in network for network in rule.networks):
            return ""
        if not rule.networks and not rule.by_token:
            return "this path is turned off (--admin-access)"
        ways = ["from another network"] if rule.networks else []
        ways += ["with the right token (Authorization: Bearer ...)"] if rule.by_token else []
        return f"this path is used {' or '.join(ways)} only (--admin-access)"


def read_access(texts: Iterable[str], token: str) -> Access:
    """Return the rules of ``PATH=WHO`` texts, on top of the default ones; WHO are words joined by ``+``.

    Raises UsageError for a text that is no rule, and for one that asks for a token when there is none.
    """
    rules = {rule.path: rule for rule in map(_rule, (*DEFAULTS, *texts))}
    if not token and any(rule.by_token for rule in rules.values()):
        raise UsageError("--admin-access asks for a token, and --admin-token-file names none")
    return Access(tuple(sorted(rules.values(), key=lambda rule: -len(rule.path))), token)


def _rule(text: str) -> Rule:
    path, equals, who = text.partition("=")
    words = who.split("+")
    if not path.startswith("/") or not equals or not all(words):
        raise UsageError(f"--admin-access {text!r}: PATH=WHO is needed, such as /_mlb_signal/=private+token")
    networks: list[Network] = []
    for word in words:
        if word == "any":
            networks += EVERYBODY
        elif word == "private":
            networks += PRIVATE
        elif word not in {"off", "token"}:
            networks.append(_network(word, text))
    return Rule(path, tuple(networks), "token" in words)


def _network(word: str, text: str) -> Network:
    try:
        return ipaddress.ip_network(word)
    except ValueError as error:
        raise UsageError(
            f"--admin-access {text!r}: any, private, token, off or a network is needed: {error}"
        ) from error


def _bytes(token: str) -> bytes:
    return token.encode(errors="surrogatepass")


def _address(client: str) -> Address | None:
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
