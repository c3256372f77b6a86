"""The app file to the definition of the next colour: its id, port, size and labels (COMPAT.md 9.2).

    file --read_definition--> Json --(the app it follows)--> next_colour --> what is posted to Marathon

Pure; it must not know Marathon's address or how tasks are moved. Both ways of writing networking are understood, that
of Marathon 1.4 (``container.docker.portMappings``, ``ports``) and that of 1.5 (``container.portMappings``), and host
networking in either (``portDefinitions``); only the first service port has an alternative, since load balancers know a
group by its label ``HAPROXY_0_PORT`` and by the further ports as they stand.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from fastlb.deployment import GROUP, NEW_INSTANCES, STARTED_AT, TARGET_INSTANCES
from fastlb.zdd.outcomes import Code, ZddError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Json = dict[str, Any]

ALT_PORT = "HAPROXY_DEPLOYMENT_ALT_PORT"
COLOUR = "HAPROXY_DEPLOYMENT_COLOUR"
APP_ID = "HAPROXY_APP_ID"
FIRST_PORT = "HAPROXY_0_PORT"
FILE = "FASTLB_ZDD_FILE"
"""A label of what is deployed: which file it was made of, by `mark_of`."""

COLOURS = ("blue", "green")
_TEXT_OR_COMMENT = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)


class Sizes(NamedTuple):
    """How many instances: at the start, and of the new app in a split (0: no split)."""

    initial: int
    split: int


def read_definition(text: str) -> Json:
    """Return the app of a file: JSON, in which comments (``//``, ``/* */``) and nulls stand for nothing.

    Raises ZddError: it is no JSON object or has no id (UNEXPECTED), or lacks a label (DEFINITION).
    """
    try:
        document = orjson.loads(_TEXT_OR_COMMENT.sub(_without_comment, text))
    except orjson.JSONDecodeError as error:
        raise ZddError(Code.UNEXPECTED, f"it is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise ZddError(Code.UNEXPECTED, "it holds no app: a JSON object is needed")
    definition: Json = _without_nulls(document)
    if not isinstance(definition.get("id"), str) or not definition["id"].strip("/"):
        raise ZddError(Code.UNEXPECTED, "the app has no id")
    _check_labels(definition)
    _check_instances(definition)
    return definition


def group_of(document: Mapping[str, Any]) -> str | None:
    """Return the name of an app's deployment group, without the slash that load balancers put in front."""
    group = (document.get("labels") or {}).get(GROUP)
    return group.removeprefix("/") if isinstance(group, str) and group else None


def mark_of(definition: Json) -> str:
    """Return what two files have in common that ask for the same, whatever their order, blanks and comments."""
    return hashlib.sha256(orjson.dumps(definition, option=orjson.OPT_SORT_KEYS)).hexdigest()


def first_colour(definition: Json, started_at: str) -> Json:
    """Return the definition of an app that follows none. Raises ZddError without a service port (DEFINITION)."""
    port = file_port(definition)
    labels = _labels(definition, COLOURS[0], started_at, target=definition.get("instances", 1), split=0)
    return _placed(definition, COLOURS[0], port, labels)


def next_colour(definition: Json, last: Json, sizes: Sizes, started_at: str) -> Json:
    """Return the definition of the app that follows ``last``, an app as Marathon shows it.

    Raises ZddError without a service port, or for an alternative port that is none (DEFINITION).
    """
    target = int(last["instances"])
    split = min(sizes.split, target)
    colour = _other_colour(definition, last)
    labels = _labels(definition, colour, started_at, target=target, split=split)
    instances = min(sizes.initial, split if split > 0 else target)
    return _placed(definition, colour, _other_port(definition, last), labels) | {"instances": instances}


def file_port(definition: Json) -> int:
    """Return the service port as the file has it. Raises ZddError if there is none, or one left to Marathon."""
    port = service_port(definition)
    if not port:
        raise ZddError(
            Code.DEFINITION,
            "the app has no service port of its own: give servicePort of the first port mapping, or the first port of "
            "portDefinitions, a number other than 0",
        )
    return port


def service_port(document: Mapping[str, Any]) -> int | None:
    """Return the first service port of an app, written in whatever way; None without one, or if it is 0."""
    for entries, name in _port_lists(document):
        if entries and (port := entries[0].get(name)):
            return _number(port, name)
    ports = document.get("ports") or [0]
    return _number(ports[0], "ports") or None


def _port_lists(document: Mapping[str, Any]) -> list[tuple[list[Json], str]]:
    container = document.get("container") or {}
    docker = container.get("docker") or {}
    return [
        (docker.get("portMappings") or [], "servicePort"),
        (container.get("portMappings") or [], "servicePort"),
        (document.get("portDefinitions") or [], "port"),
    ]


def _placed(definition: Json, colour: str, port: int, labels: Json) -> Json:
    """Return the definition with id, first service port and labels of its colour; the given one stays as it is."""
    placed: Json = orjson.loads(orjson.dumps(definition))
    for entries, name in _port_lists(placed):
        if entries:
            entries[0][name] = port
            break
    else:
        if placed.get("ports"):
            placed["ports"][0] = port
    return {**placed, "id": f"/{definition['id'].strip('/')}-{colour}", "labels": labels}


def _labels(definition: Json, colour: str, started_at: str, *, target: int, split: int) -> Json:
    return {
        **definition["labels"],
        APP_ID: definition["id"],
        FIRST_PORT: str(file_port(definition)),
        NEW_INSTANCES: str(split),
        TARGET_INSTANCES: str(target),
        COLOUR: colour,
        STARTED_AT: started_at,
        FILE: mark_of(definition),
    }


def _other_colour(definition: Json, last: Json) -> str:
    """Return green after blue, else blue; but never the colour whose id ``last`` has, whatever its labels say."""
    colour = COLOURS[1] if last["labels"].get(COLOUR) == COLOURS[0] else COLOURS[0]
    if last["id"].strip("/") == f"{definition['id'].strip('/')}-{colour}":
        return COLOURS[1 - COLOURS.index(colour)]
    return colour


def _other_port(definition: Json, last: Json) -> int:
    """Return the one of its two ports that ``last`` does not have; ports that it does not name are the file's."""
    labels = definition["labels"] | last["labels"]
    alternative = _number(labels[ALT_PORT], ALT_PORT)
    own = _number(last["labels"].get(FIRST_PORT) or file_port(definition), FIRST_PORT)
    return own if service_port(last) == alternative else alternative


def _check_labels(definition: Json) -> None:
    labels = definition.get("labels")
    if not isinstance(labels, dict):
        raise ZddError(Code.DEFINITION, f"the app has no labels; {GROUP} and {ALT_PORT} are needed")
    for name in (GROUP, ALT_PORT):
        if not labels.get(name):
            raise ZddError(Code.DEFINITION, f"the app has no label {name}")
        if not isinstance(labels[name], str):
            raise ZddError(Code.DEFINITION, f"label {name} is {labels[name]!r}, a text is needed")
    _number(labels[ALT_PORT], f"label {ALT_PORT}")


def _check_instances(definition: Json) -> None:
    instances = definition.get("instances", 1)
    if not isinstance(instances, int) or isinstance(instances, bool) or instances < 0:
        raise ZddError(Code.DEFINITION, f"instances is {instances!r}, a number from 0 on is needed")


def _number(value: object, name: str) -> int:
    if not str(value).isdecimal() or not int(str(value)) < 65536:
        raise ZddError(Code.DEFINITION, f"{name} is {value!r}, a port is needed")
    return int(str(value))


def _without_comment(match: re.Match[str]) -> str:
    """Keep a text; turn a comment into blanks, so that a complaint still names the right line and column."""
    found = match.group()
    return found if found.startswith('"') else re.sub(r"[^\n]", " ", found)


def _without_nulls(value: Any) -> Any:
    """Drop object members that are null, at any depth (COMPAT.md 3.1)."""
    walk: Callable[[Any], Any] = _without_nulls
    if isinstance(value, dict):
        return {name: walk(member) for name, member in value.items() if member is not None}
    return [walk(member) for member in value] if isinstance(value, list) else value
