"""The hot path in plain Python: the readable twin of ``_speedups.pyx``.

Both twins have the same functions, give the same results and raise the same errors; a property test feeds both the
same input. They see builtin types and the values of `fastlb.model`, and know no other room. `fastlb.kernel` chooses
between them.
"""

from __future__ import annotations

import hashlib
import re
from operator import index
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from fastlb.model import App, Note, Rules, Service, Task

    Services = tuple[list[Service], list[Note]]

Part = str | tuple[Any, ...]
Program = tuple[Part, ...]

ID_MODULUS = 32767
COOKIE_DIGITS = 10
MAX_PATH_CHARACTERS = 65_536  # of a health check
DEEPEST_ELEMENT = 500
CHECK_NUMBERS = ("timeoutSeconds", "intervalSeconds", "gracePeriodSeconds", "maxConsecutiveFailures")

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")
_UNCLEAN = re.compile(r"[^A-Za-z0-9-]")
_REST_OF_STRING = rb'[^"\\]*+(?:\\.[^"\\]*+)*+"'
_NEXT_BRACKET = re.compile(rb'[^"{}\[\]]*+(?:"' + _REST_OF_STRING + rb'[^"{}\[\]]*+)*+[{}\[\]]', re.DOTALL)


def clean(text: str) -> str:
    """Replace every character outside ``A-Z a-z 0-9 -`` by one underscore (COMPAT.md, conventions)."""
    return _UNCLEAN.sub("_", text)


def fill(program: Program, values: Mapping[str, Any] | Sequence[Any]) -> str:
    """Join the parts of a compiled template with ``values`` in its holes.

    A part is a text, or ``(name,)``, or ``(name, keys, conversion, spec)``. Raises KeyError with the name of a
    placeholder that ``values`` does not offer, and what looking into or formatting a value raises.
    """
    return "".join([part if isinstance(part, str) else _value(part, values) for part in program])


def _value(part: tuple[Any, ...], values: Any) -> str:
    value = values[part[0]]
    if len(part) == 1:
        return value if isinstance(value, str) else format(value, "")
    _, keys, conversion, spec = part
    for key in keys:
        value = value[key]
    if conversion == "r":
        value = repr(value)
    elif conversion == "a":
        value = ascii(value)
    elif conversion == "s":
        value = str(value)
    return format(value, spec)


def fill_each(programs: Sequence[Program], values: Sequence[Any]) -> tuple[str, ...]:
    """Fill in each program with the same values, which its parts name by their position. Raises what `fill` raises."""
    return tuple([fill(program, values) for program in programs])


def server_name(host: str, address: str, port: int) -> str:
    """Return the name of a server (COMPAT.md 6.3)."""
    return clean(f"{address}_{port}" if host == address else f"{host}_{address}_{port}")


def cookie(name: str) -> str:
    """Return the cookie value of the server ``name`` (COMPAT.md 6.3)."""
    return hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()[:COOKIE_DIGITS]


def server_id(name: str, taken: set[int]) -> int:
    """Claim the id of the server ``name`` among those ``taken`` in its backend, which it joins (COMPAT.md 6.3).

    Raises ValueError if none is left, instead of looking for ever.
    """
    digest = hashlib.sha256(name.encode())
    if len(taken) >= ID_MODULUS - 1:
        raise ValueError(f"no backend can have more than {ID_MODULUS - 1} server ids")
    while True:
        number = int.from_bytes(digest.digest(), "big") % ID_MODULUS
        if number != 0 and number not in taken:
            taken.add(number)
            return number
        # The name grows by a blank and the digits of its digest; the digest takes just these.
        digest.update(f" {digest.hexdigest()}".encode())


def server_values(
    servers: Sequence[tuple[str, str, int, bool]], sticky: bool, health: Sequence[str]
) -> list[dict[str, Any]]:
    """Return what BACKEND_SERVER_OPTIONS is offered for each server, in order (COMPAT.md 6.5).

    ``servers`` are (host, address, port, draining); ``health`` are the ``healthCheckOptions``: one text per server,
    or a single one for all.
    """
    taken: set[int] = set()
    every = []
    for position, (host, address, port, draining) in enumerate(servers):
        name = server_name(host, address, port)
        every.append(
            {
                "host": host,
                "host_ipv4": address,
                "port": port,
                "serverName": name,
                "serverId": server_id(name, taken),
                "cookieOptions": f" check cookie {cookie(name)}" if sticky else "",
                "healthCheckOptions": health[0] if len(health) == 1 else health[position],
                "otherOptions": " disabled" if draining else "",
            }
        )
    return every


def server_lines(
    program: Program, servers: Sequence[tuple[str, str, int, bool]], sticky: bool, health: Sequence[str]
) -> str:
    """Return the filled-in server template of every server, joined. Arguments as for `server_values`."""
    return "".join([fill(program, values) for values in server_values(servers, sticky, health)])


def map_text(pairs: Sequence[tuple[str, str]]) -> str:
    """Return the text of a map file, one ``key backend`` line per pair (COMPAT.md 6.11)."""
    return "".join([f"{key} {backend}\n" for key, backend in pairs])


def entry_hash(key: str, value: str) -> int:
    """Return 128 bits that stand for one entry of a table: of the SHA-256 of the key's length, the key and the value.

    The length (of its UTF-8, eight bytes, the highest first) keeps (ab, c) and (a, bc) apart.
    """
    encoded = key.encode()
    digest = hashlib.sha256(len(encoded).to_bytes(8, "big") + encoded + value.encode()).digest()
    return int.from_bytes(digest[:16], "big")


def table_hash(pairs: Iterable[tuple[str, str]]) -> int:
    """Return 128 bits that stand for a table whatever the order of its entries: the sum of theirs, modulo 2**128.

    The hash of a changed table is therefore the old one, minus what left, plus what came, modulo 2**128.
    """
    return sum(entry_hash(key, value) for key, value in pairs) % 2**128


def enter(entries: Iterable[tuple[str, str]], counts: dict[tuple[str, str], int], keys: dict[str, int]) -> int:
    """Count entries of a map, and the keys of new ones, up by one; return the `table_hash` of the new ones."""
    new = []
    for entry in entries:
        count = counts.get(entry, 0)
        counts[entry] = count + 1
        if count == 0:
            keys[entry[0]] = keys.get(entry[0], 0) + 1
            new.append(entry)
    return table_hash(new)


def is_ipv4(text: str) -> bool:
    """Whether ``text`` is an IPv4 address, four numbers without leading zeros."""
    return _IPV4.fullmatch(text) is not None


def host_names(tasks: Iterable[Task]) -> set[str]:
    """Return the hosts of ``tasks`` that are names: neither missing nor IPv4 addresses."""
    return {task.host for task in tasks if task.host and not is_ipv4(task.host)}


def object_end(data: bytes | bytearray, at: int) -> int:
    """Return where the JSON object ends that begins at ``at``; -1 if none does, or none ends.

    It looks at brackets and quotation marks alone, each once: what is between the two need not be JSON, but if JSON
    begins with an object there, this is all of that. Of what is nested deeper than `DEEPEST_ELEMENT` it finds no end.
    """
    if not isinstance(data, bytes | bytearray):
        raise TypeError(f"an object is looked for in bytes, not in {type(data).__name__}")
    at, depth = index(at), 0
    if not 0 <= at < len(data) or data[at] != ord("{"):
        return -1
    while depth <= DEEPEST_ELEMENT and (bracket := _NEXT_BRACKET.match(data, at)):
        at = bracket.end()
        depth += 1 if data[at - 1] in b"{[" else -1
        if depth == 0:
            return at
    return -1


def read_app(document: object, otherwise: Callable[[object], App]) -> App:
    """Return the App that ``otherwise(document)`` returns; raises what that raises.

    This and the next are shortcuts of the rooms that call them. ``otherwise`` is how the room does it, whatever comes,
    and does all of it here; the compiled twin asks it only about what has not the usual form.
    """
    return otherwise(document)


def services_of(
    app: App,
    rules: Rules,
    service_ports: Sequence[int | None],
    surroundings: Any,
    labels: Mapping[str, tuple[str, str]],  # noqa: ARG001 - as the next: tables that `otherwise` has of its own
    skipped_states: frozenset[str],  # noqa: ARG001
    otherwise: Callable[[App, Rules, Sequence[int | None], Any], Services],
) -> Services:
    """Return the services and notes that ``otherwise(app, rules, service_ports, surroundings)`` returns."""
    return otherwise(app, rules, service_ports, surroundings)


def plain_services(
    app: App,  # noqa: ARG001 - as all of the next: what a shortcut needs
    rules: Rules,  # noqa: ARG001
    surroundings: Any,  # noqa: ARG001
    labels: Mapping[str, tuple[str, str]],  # noqa: ARG001
    skipped_states: frozenset[str],  # noqa: ARG001
) -> tuple[Service, ...] | None:
    """Return the services to write of an app of which nothing is to be said, or None: ask the rooms.

    This and `plain_part` are shortcuts past the rooms that only the compiled twin has.
    """
    return None


def plain_part(services: tuple[Service, ...], recipes: tuple[dict[Any, Any], ...], kinds: Any) -> Any:  # noqa: ARG001
    """Return the part of services that are all written the usual way, or None: ask the rooms."""
    return None


def outline(service: Service) -> tuple[Any, ...]:
    """Return what of a service decides which templates are written; the first fields of `fastlb.shapes.Shape`."""
    options, check = service.options, service.health_check
    return (
        service.mode,
        options.vhost.count(",") + 1 if options.vhost else 0,
        len(options.networks_allowed.split()) if options.networks_allowed else None,
        check is not None,
        None if check is None else check.protocol,
        service.indexed_ports is not None,
        bool(options.path),
        bool(options.realm),
        options.redirect_to_https,
        bool(options.user),
        options.sticky,
        options.use_hsts,
        bool(options.proxypass_path),
        bool(options.revproxy_path),
        bool(options.redirect_path),
        bool(options.templates),
    )


def service_values(service: Service) -> tuple[Any, ...]:
    """Return what templates are offered for a service, in the order of `fastlb.shapes.fields_of`."""
    app_id, _, port, backend, mode, _, options, *_ = service
    hosts = (options.vhost or "").split(",")
    return (
        backend,
        app_id,
        mode,
        port,
        options.balance,
        options.bind_address,
        f" ssl crt {options.ssl_cert}" if options.ssl_cert else "",
        f" {options.bind_options}" if options.bind_options else "",
        options.realm,
        options.path,
        options.user,
        options.password,
        options.proxypass_path,
        options.revproxy_path,
        options.redirect_path,
        options.vhost,
        clean(app_id),
        f"{clean(hosts[0])}_{app_id[1:].replace('/', '_')}",
        *hosts,
        *(options.networks_allowed or "").split(),
    )


def check_values(service: Service) -> tuple[Any, ...]:
    """Return what the templates of its health check are offered (COMPAT.md 6.6), as `fastlb.shapes.CHECK_FIELDS`.

    Raises ValueError saying what the health check lacks.
    """
    check, ports = service.health_check, service.indexed_ports
    if check is None:
        raise ValueError("it has no health check")
    members = check.members
    missing = [name for name in CHECK_NUMBERS if name not in members]
    if missing:
        raise ValueError(f"its health check has no {missing[0]}")
    path = members.get("path", "/")
    if not isinstance(path, str) or not path.isprintable():
        raise ValueError(f"its health check path is {path!r:.80}, which contains a line break or control character")
    if len(path) > MAX_PATH_CHARACTERS:
        raise ValueError(f"its health check path has {len(path)} characters, at most {MAX_PATH_CHARACTERS} are read")
    odd = [name for name in CHECK_NUMBERS if not isinstance(members[name], int)]
    if odd:
        raise ValueError(f"{odd[0]} of its health check is {members[odd[0]]!r}, an integer is needed")
    port = ports[0] if ports else service.servers[0].port
    return (
        members,
        check.port_index,
        check.protocol,
        path,
        *[members[name] for name in CHECK_NUMBERS],
        members["maxConsecutiveFailures"] + 1,
        port,
        f" port {port}" if port else "",
        check.port,
        f" port {check.port}" if check.port else "",
    )


class EventCutter:
    """Cuts the bytes of an event stream into events, whatever pieces they come in; `fastlb.sse` documents the rules.

    `oversized` counts the events that were dropped because they held more than ``max_event_bytes``.
    """

    def __init__(self, max_event_bytes: int) -> None:
        self.oversized = 0
        self._max_event_bytes = max_event_bytes
        self._line = bytearray()
        self._after_cr = False
        self._begin_event()

    def cut(self, data: bytes) -> list[tuple[str, bytes]]:
        """Take the next piece of the stream; return name and data of the events that it completes.

        Raises TypeError for anything but bytes.
        """
        if not isinstance(data, bytes):
            raise TypeError(f"bytes are cut into events, not {type(data).__name__}")
        if not data:
            return []
        if self._after_cr:
            data = data.removeprefix(b"\n")
        self._after_cr = data.endswith(b"\r")
        events = []
        for piece in data.splitlines(keepends=True):
            text = piece.rstrip(b"\r\n")
            self._extend_line(text)
            if len(text) < len(piece) and (event := self._end_line()):
                events.append(event)
        return events

    def _begin_event(self) -> None:
        self._name = ""
        self._data: list[bytes] = []
        self._held_bytes = 0
        self._too_big = False

    def _extend_line(self, text: bytes) -> None:
        self._line += text
        if self._held_bytes + len(self._line) > self._max_event_bytes:
            self._too_big = True
            self._data.clear()
        if self._too_big:
            # One byte is enough to tell this line from the empty one that ends the event.
            del self._line[1:]

    def _end_line(self) -> tuple[str, bytes] | None:
        """One line is complete: part of the event, or, when it is empty, the end of the event."""
        line = bytes(self._line)
        self._line.clear()
        if not line:
            return self._end_event()
        if not self._too_big:
            self._take_field(line)
        return None

    def _take_field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._held_bytes += len(line)
        elif name == b"event":
            self._name = value.decode(errors="replace")
        # The rest is comments, whose name is empty, and fields that Marathon never sends (id, retry).

    def _end_event(self) -> tuple[str, bytes] | None:
        self.oversized += self._too_big
        # Without data there is nothing to tell: Marathon's heartbeat is an empty line alone.
        event = (self._name, b"\n".join(self._data)) if self._data else None
        self._begin_event()
        return event
