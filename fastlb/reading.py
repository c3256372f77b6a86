"""The JSON of one app, as Marathon answers it, to an App.

It copes with every shape that Marathon has had (1.4 to 1.10, MARATHON.md 2.1 and 3.1): absent, null and empty are the
same thing. Where marathon-lb would abort on one app, an AppError leaves out that app alone (COMPAT.md 3.12).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from fastlb import kernel
from fastlb.errors import AppError
from fastlb.model import App, HealthCheck, Task

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]

MAX_WORD_CHARACTERS = 1024
"""Of an id, a host name, an address: what they are written into is many times longer."""


def read_app(document: object) -> App:
    """Read one element of ``apps``.

    Raises AppError if it is no app, or lacks something that COMPAT.md 3.12 requires; the message names the member.
    """
    return kernel.read_app(document, _read_app)


def read_again(document: object, before: object) -> object:
    """Return the App of ``document``: ``before`` itself if that equals it.

    What cannot be read is returned as it is, for whoever asks `read_app` why.
    """
    try:
        app = read_app(document)
        return before if before == app else app
    except Exception:  # noqa: BLE001 - one app must never cost the others anything
        return document


def _read_app(document: object) -> App:
    if not isinstance(document, dict):
        raise AppError(f"an entry of the apps is {_kind(document)}, not an object")
    app_id = _app_id(document)
    return _read(app_id, document)


def app_id_of(document: object) -> str | None:
    """Return the id that ``document``, read or not, gives itself; None if it has none that can be used."""
    if isinstance(document, App):
        return document.id
    value = document.get("id") if isinstance(document, dict) else None
    return value if isinstance(value, str) and 0 < len(value) <= MAX_WORD_CHARACTERS else None


def _app_id(document: Json) -> str:
    app_id = app_id_of(document)
    if app_id is None:
        raise AppError(f"an app without an id to use (its members: {', '.join(sorted(map(str, document)))[:200]})")
    if any(character.isspace() or not character.isprintable() for character in app_id):
        raise AppError(f"the app id {app_id!r} contains a blank or control character")
    return app_id


def _read(app_id: str, document: Json) -> App:
    labels = document.get("labels")
    if not isinstance(labels, dict):
        raise AppError(f"labels is {_kind(labels)}, an object is needed")
    tasks = document.get("tasks")
    if tasks is None:
        raise AppError("it has no tasks member; was it read without embed=apps.tasks?")
    mappings = _port_mappings(document)
    mode = _networking_mode(document)
    service_ports, udp_only = _service_ports(document, mode, mappings)
    return App(
        id=app_id,
        labels=labels,
        mode=mode,
        service_ports=service_ports,
        udp_only=udp_only,
        definition_ports=_ports_of(_objects(document, "portDefinitions"), "port"),
        container_ports=_ports_of(mappings, "containerPort"),
        discovery_ports=_discovery_ports(document),
        health_checks=tuple(map(_health_check, _objects(document, "healthChecks"))),
        instances=_optional_int(document, "instances"),
        last_scaling_at=_text(_member(document, "versionInfo"), "lastScalingAt") or None,
        tasks=tuple(map(_task, _list(tasks, "tasks"))),
        configured_at=_text(_member(document, "versionInfo"), "lastConfigChangeAt") or None,
    )


def _networking_mode(document: Json) -> str:
    """Follow the table of COMPAT.md 3.3; later lines win."""
    mode = "container" if document.get("ipAddress") else "host"
    legacy = _text(_member(_member(document, "container"), "docker"), "network")
    mode = {"USER": "container", "BRIDGE": "container/bridge"}.get(legacy, mode)
    for network in _objects(document, "networks"):
        mode = _text(network, "mode") or "container"
    return mode


def _port_mappings(document: Json) -> list[Json]:
    container = _member(document, "container")
    return _objects(_member(container, "docker"), "portMappings") or _objects(container, "portMappings")


def _service_ports(document: Json, mode: str, mappings: list[Json]) -> tuple[tuple[int, ...], frozenset[int]]:
    """Return the declared service ports and the positions that are UDP only (COMPAT.md 3.4 steps 1 and 2)."""
    entries = []
    if mode in {"container", "container/bridge"}:
        entries = [(entry, "servicePort") for entry in mappings if entry.get("servicePort") is not None]
    if not entries and document.get("portDefinitions") is not None:
        definitions = _objects(document, "portDefinitions")
        entries = [(entry, "port") for entry in definitions if entry.get("port") is not None]
    elif not entries:
        return tuple(_int(port, "ports") for port in _list(document.get("ports"), "ports")), frozenset()
    ports = tuple(_int(entry[name], name) for entry, name in entries)
    udp = frozenset(i for i, (entry, _) in enumerate(entries) if entry.get("protocol") == "udp")
    return ports, udp


def _discovery_ports(document: Json) -> tuple[int, ...]:
    discovery = _member(_member(document, "ipAddress"), "discovery")
    return _ports_of(_objects(discovery, "ports"), "number")


def _ports_of(entries: list[Json], name: str) -> tuple[int, ...]:
    return tuple(_int(entry[name], name) for entry in entries if entry.get(name) is not None)


def _health_check(members: Json) -> HealthCheck:
    try:
        kept = _without_nulls(members)
    except RecursionError:
        raise AppError("an entry of healthChecks is nested too deep") from None
    return HealthCheck(
        members=kept,
        protocol=_text(kept, "protocol") or None,
        port=_optional_int(kept, "port"),
        port_index=_optional_int(kept, "portIndex"),
    )


def _task(document: object) -> Task:
    if not isinstance(document, dict):
        raise AppError(f"an entry of the tasks is {_kind(document)}, not an object")
    addresses = _objects(document, "ipAddresses")
    return Task(
        id=_text(document, "id"),
        host=_text(document, "host"),
        state=_text(document, "state") or None,
        ports=tuple(_int(port, "ports") for port in _list(document.get("ports"), "ports")),
        address=_text(addresses[0], "ipAddress") or None if addresses else None,
        alive=_alive(document),
        draining=bool(document.get("draining")),
    )


def _alive(task: Json) -> bool | None:
    """Return whether any result is alive; None without results (COMPAT.md 3.8, MARATHON.md 3.3)."""
    results = _objects(task, "healthCheckResults")
    if any(result.get("alive") is None for result in results):
        raise AppError(f"task {task.get('id')}: a health check result without alive")
    return any(result["alive"] for result in results) if results else None


def _text(document: Json, name: str) -> str:
    """Return a member that must be one word that can be printed; empty if it is missing."""
    value = document.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > MAX_WORD_CHARACTERS or not _is_word(value):
        raise AppError(f"{name} is {value!r:.100}, one word is needed")
    return value


def _is_word(text: str) -> bool:
    return text.isprintable() and not any(map(str.isspace, text))


def _member(document: Json, name: str) -> Json:
    value = document.get(name)
    if value is None:
        return {}
    return value if isinstance(value, dict) else _wrong(name, value, "an object")


def _objects(document: Json, name: str) -> list[Json]:
    entries = _list(document.get(name), name)
    for entry in entries:
        if not isinstance(entry, dict):
            raise AppError(f"an entry of {name} is {_kind(entry)}, not an object")
    return entries


def _list(value: object, name: str) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else _wrong(name, value, "an array")


def _optional_int(document: Json, name: str) -> int | None:
    value = document.get(name)
    return None if value is None else _int(value, name)


def _int(value: object, name: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        return int(str(value))
    except ValueError:
        _wrong(name, value, "an integer")


def _without_nulls(value: Any) -> Any:
    """Drop object members that are null, at any depth (COMPAT.md 3.1)."""
    walk: Callable[[Any], Any] = _without_nulls
    if isinstance(value, dict):
        return {name: walk(member) for name, member in value.items() if member is not None}
    return [walk(member) for member in value] if isinstance(value, list) else value


def _wrong(name: str, value: object, wanted: str) -> NoReturn:
    raise AppError(f"{name} is {_kind(value)}, {wanted} is needed")


def _kind(value: object) -> str:
    kinds = {dict: "an object", list: "an array", str: "a text", bool: "a boolean", type(None): "missing"}
    return kinds.get(type(value), "a number")
