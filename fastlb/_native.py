"""The hot path in plain Python: the readable twin of ``_speedups.pyx``.

Both twins have the same functions, give the same results and raise the same errors; a property test feeds both the
same input. They see builtin types only and import nothing of fastlb. `fastlb.kernel` chooses between them.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Part = str | tuple[Any, ...]
Program = tuple[Part, ...]

ID_MODULUS = 32767
COOKIE_DIGITS = 10

_UNCLEAN = re.compile(r"[^A-Za-z0-9-]")


def clean(text: str) -> str:
    """Replace every character outside ``A-Z a-z 0-9 -`` by one underscore (COMPAT.md, conventions)."""
    return _UNCLEAN.sub("_", text)


def fill(program: Program, values: Mapping[str, Any]) -> str:
    """Join the parts of a compiled template with ``values`` in its holes.

    A part is a text, or ``(name,)``, or ``(name, keys, conversion, spec)``. Raises KeyError with the name of a
    placeholder that ``values`` does not offer, and what looking into or formatting a value raises.
    """
    return "".join([part if isinstance(part, str) else _value(part, values) for part in program])


def _value(part: tuple[Any, ...], values: Mapping[str, Any]) -> str:
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


def server_name(host: str, address: str, port: int) -> str:
    """Return the name of a server (COMPAT.md 6.3)."""
    return clean(f"{address}_{port}" if host == address else f"{host}_{address}_{port}")


def cookie(name: str) -> str:
    """Return the cookie value of the server ``name`` (COMPAT.md 6.3)."""
    return hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()[:COOKIE_DIGITS]


def server_id(name: str, taken: set[int]) -> int:
    """Claim the id of the server ``name`` among those ``taken`` in its backend, which it joins (COMPAT.md 6.3)."""
    while True:
        digest = hashlib.sha256(name.encode())
        number = int.from_bytes(digest.digest(), "big") % ID_MODULUS
        if number != 0 and number not in taken:
            taken.add(number)
            return number
        name = f"{name} {digest.hexdigest()}"


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
