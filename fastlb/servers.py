"""The text of one backend, head and server lines, to values that can be compared and sent to a running HAProxy.

    text --read_backend--> Backend(name, head, servers) --line by line--> ServerLine(name, address, port, id, ...)

It must not know how a change is carried out (`live`), nor which app or task a line is about: a template label can write
anything, so what counts is what was written. Whatever is not of the known form makes the backend `unfit`: it is changed
by reloads alone. What is of the known form but cannot be added to a running HAProxy is `fixed`: its servers can leave,
stop and come back live, only new ones need a reload. Both are reasons, in words.

Quotes, escapes, variables and comments behind words are not of the known form: the socket reads them otherwise than
the file does (HAPROXY.md 1).
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from fastlb.capabilities import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fastlb.capabilities import Capabilities

MAX_WORDS, MAX_CHARACTERS = 60, 2_000
"""Of a server line: HAProxy reads 64 words of a command, and from 2.6 comes no reply at all to one that is longer than
its buffer (HAPROXY.md 1)."""

_SAFE = re.compile(r"[ \t!%&()*+,\-./0-9:=?@A-Z\[\]^_a-z{|}~]*")
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,300}")
_WHERE = re.compile(r"(?:\[(?P<bracketed>[^\]]+)\]|(?P<plain>[^\[\]@]+)):(?P<port>\d{1,5})")
_SECTION = re.compile(
    r"^[ \t]*(backend|cache|crt-store|defaults|fcgi-app|frontend|global|http-errors|listen|log-forward|mailers"
    r"|peers|program|resolvers|ring|userlist)(?!\S)[ \t]*(.*?)[ \t\r]*$",
    re.MULTILINE,
)
_OF_SERVERS = re.compile(r"^[ \t]*(server|server-template|dynamic-cookie-key|\.\w+)(?!\S)", re.MULTILINE)
_BALANCE = re.compile(r"^[ \t]*balance(?:[ \t]+(\S+))?", re.MULTILINE)
_DEFAULT_SERVER = re.compile(r"^[ \t]*default-server\b", re.MULTILINE)
_DYNAMIC_COOKIE = re.compile(r"^[ \t]*cookie[ \t].*\bdynamic\b", re.MULTILINE)
_DYNAMIC_BALANCE = re.compile(r"roundrobin|leastconn|first|random(\(\d+\))?")


class ServerLine(NamedTuple):
    """One server line. ``options`` are the words that no command can change later, in their order; ``check_port`` is
    the option ``port``. ``address`` is in its shortest form if it is an IP address."""

    name: str
    address: str
    port: int
    id: int | None = None
    weight: int = 1
    disabled: bool = False
    check_port: int | None = None
    options: tuple[tuple[str, ...], ...] = ()

    @property
    def is_checked(self) -> bool:
        """Whether HAProxy checks its health."""
        return ("check",) in self.options

    @property
    def has_agent(self) -> bool:
        """Whether an agent on its machine decides about its weight and state."""
        return ("agent-check",) in self.options

    @property
    def has_ip_address(self) -> bool:
        """Whether the address is no name."""
        try:
            ipaddress.ip_address(self.address)
        except ValueError:
            return False
        return True

    @property
    def where(self) -> str:
        """Address and port, as the address of a server is written."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    @property
    def words(self) -> str:
        """The whole line from its address on, without ``disabled``, in one form for `add server`."""
        settings = [] if self.id is None else [f"id {self.id}"]
        settings += [] if self.weight == 1 else [f"weight {self.weight}"]
        settings += [" ".join(option) for option in self.options]
        settings += [] if self.check_port is None else [f"port {self.check_port}"]
        return " ".join([self.where, *settings])


class Backend(NamedTuple):
    """One backend: the text before its servers, and those by name in their order; see above for `unfit` and `fixed`."""

    name: str
    head: str
    servers: Mapping[str, ServerLine]
    unfit: str | None = None
    fixed: str | None = None


class Defaults(NamedTuple):
    """What the shared sections set for every backend, as far as it matters here."""

    balance: str | None = None
    default_server: bool = False


class _UnknownFormError(Exception):
    """A line is not of the known form; the message says why."""


def read_defaults(shared: str) -> Defaults:
    """Read the document's shared beginning: the sections ``defaults`` in it."""
    starts = [*_SECTION.finditer(shared)]
    ends = [*(start.start() for start in starts[1:]), len(shared)]
    sections = [shared[start.end() : end] for start, end in zip(starts, ends, strict=False) if start[1] == "defaults"]
    balances = [balance for section in sections for balance in _BALANCE.findall(section)]
    return Defaults((balances or [""])[-1] or None, any(map(_DEFAULT_SERVER.search, sections)))


def read_backend(name: str, head: str, lines: str, defaults: Defaults = Defaults()) -> Backend:  # noqa: B008 - frozen
    """Read one backend from its text up to its servers and from its server lines. Raises nothing: see `unfit`."""
    unfit = _why_unfit(name, head)
    try:
        servers = {} if unfit else _read_servers(lines)
    except _UnknownFormError as error:
        unfit, servers = str(error), {}
    return Backend(name, head, servers, unfit, _why_fixed(head, defaults))


def why_not_added(server: ServerLine, capabilities: Capabilities) -> str | None:
    """Return why this server cannot be added to a running HAProxy of that version; None if it can."""
    if not server.has_ip_address:
        return f"server {server.name} has the address {server.address}, which only a start resolves"
    for keyword, *_ in server.options:
        if not capabilities.takes(keyword):
            version = ".".join(map(str, capabilities.version))
            return f"server {server.name} has the option {keyword}, which HAProxy {version} takes only at its start"
    return None


def _why_unfit(name: str, head: str) -> str | None:
    sections = _SECTION.findall(head)
    if sections != [("backend", name)]:
        return f"its text does not open one section, `backend {name}`"
    if not _NAME.fullmatch(name):
        return f"its name {name!r} cannot be written in a command"
    if found := _OF_SERVERS.search(head):
        return f"the text before its servers has a line {found[1]!r}"
    return None


def _why_fixed(head: str, defaults: Defaults) -> str | None:
    """Return why no server can be added (HAPROXY.md A1, A3).

    Hashes are left out even where consistent: before the fixes of 2026 a server added live got keys of its own.
    """
    balance = ([defaults.balance, *_BALANCE.findall(head)])[-1]
    if balance and not _DYNAMIC_BALANCE.fullmatch(balance):
        return f"`balance {balance}` takes no servers at run time"
    if defaults.default_server or _DEFAULT_SERVER.search(head):
        return "a server added at run time would not get what `default-server` says"
    if _DYNAMIC_COOKIE.search(head):
        return "its cookies are made by HAProxy, which not every version does for a server added at run time"
    return None


def _read_servers(lines: str) -> dict[str, ServerLine]:
    servers: dict[str, ServerLine] = {}
    ids = set()
    for line in lines.split("\n"):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        server = _read_server(line)
        if server.name in servers or server.id in ids:
            raise _UnknownFormError(f"two servers have the name {server.name} or its id {server.id}")
        servers[server.name] = server
        ids |= {server.id} - {None}
    return servers


@lru_cache(maxsize=4096)
def _read_server(line: str) -> ServerLine:
    words = line.split()
    if not _SAFE.fullmatch(line) or len(words) > MAX_WORDS or len(line) > MAX_CHARACTERS:
        raise _UnknownFormError(f"the line {line.strip()[:80]!r} has characters or a length that no command can have")
    where = _WHERE.fullmatch(words[2]) if len(words) > 2 else None
    if words[0] != "server" or where is None or not _NAME.fullmatch(words[1]) or not _is_port(where["port"]):
        raise _UnknownFormError(f"the line {line.strip()[:80]!r} is no server with a plain name, address and port")
    address = _shortest(where["bracketed"] or where["plain"])
    return _with_options(ServerLine(words[1], address, int(where["port"])), _split(words[3:]))


def _with_options(server: ServerLine, options: Iterator[tuple[str, ...]]) -> ServerLine:
    """Set apart what a command can change; a later word of the same kind wins, as it does in the file."""
    kept = []
    for option in options:
        match option:
            case ("disabled" | "enabled",):
                server = server._replace(disabled=option[0] == "disabled")
            case ("id", number) if number.isdecimal():
                server = server._replace(id=int(number))
            case ("weight", number) if number.isdecimal():
                server = server._replace(weight=int(number))
            case ("port", number) if _is_port(number):
                server = server._replace(check_port=int(number))
            case ("id" | "weight" | "port", value):
                raise _UnknownFormError(f"server {server.name} has the {option[0]} {value!r}")
            case _:
                kept.append(option)
    return server._replace(options=tuple(kept))


def _split(words: list[str]) -> Iterator[tuple[str, ...]]:
    position = 0
    while position < len(words):
        keyword = words[position]
        if keyword not in OPTIONS:
            raise _UnknownFormError(f"the option {keyword!r} of a server is not known")
        end = position + 1 + OPTIONS[keyword].arguments
        if end > len(words):
            raise _UnknownFormError(f"the option {keyword!r} of a server lacks its value")
        yield tuple(words[position:end])
        position = end


def _is_port(text: str) -> bool:
    return text.isdecimal() and 0 < int(text) < 65_536


def _shortest(address: str) -> str:
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return address
