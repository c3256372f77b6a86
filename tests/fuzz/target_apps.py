"""One app with hostile texts in its fields and labels: no text reaches outside its field, whatever it is.

    bytes -> a recorded app with some texts replaced -> services -> hostile fragments
          -> the same with harmless texts of the same shape -----> harmless fragments

The shape of a text: its blanks, commas, colons and slashes, which parts of it differ, and whether it is empty. Each
hostile fragment has to have the lines of the harmless one, with as many words. A label that is a template may write any
lines, in the place of that template alone. And nobody else's lines depend on any of it.
"""

from __future__ import annotations

import json
import pickle
import re
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from fastlb.desired import desired_state
from fastlb.errors import AppError, ServiceError, TemplateError
from fastlb.fragments import Fragment, FragmentWriter
from fastlb.labels import LABELS
from fastlb.reading import read_app
from fastlb.services import Surroundings, services_of
from fastlb.vhosts import FirstUse
from tests.fakes.apps import app, catalogue_of, renderer_of, rules_of, task
from tests.fuzz.choices import Choices
from tests.fuzz.twins import agreed
from tests.golden.recorded import CASES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastlb.model import App, Rules, Service
    from fastlb.render import Renderer

FLAGS: list[tuple[str, ...]] = [
    (),
    ("--haproxy-map",),
    ("--group-https-by-vhost",),
    ("--haproxy-map", "--group-https-by-vhost"),
]
FULL = app(
    "/full",
    [10000, 10001],
    {
        "HAPROXY_0_VHOST": "a.example,b.example",
        "HAPROXY_0_PATH": "/p",
        "HAPROXY_0_AUTH": "realm:user:pass",
        "HAPROXY_0_HTTP_BACKEND_REDIR": "/r",
        "HAPROXY_0_HTTP_BACKEND_PROXYPASS_PATH": "/x",
        "HAPROXY_0_HTTP_BACKEND_REVPROXY_PATH": "/y",
        "HAPROXY_0_SSL_CERT": "/c.pem",
        "HAPROXY_0_BIND_OPTIONS": "npn x",
        "HAPROXY_0_BIND_ADDR": "127.0.0.1",
        "HAPROXY_0_BALANCE": "source",
        "HAPROXY_0_BACKEND_NETWORK_ALLOWED_ACL": "10.0.0.0/8 127.0.0.1",
        "HAPROXY_0_STICKY": "true",
        "HAPROXY_1_MODE": "tcp",
        "HAPROXY_1_BALANCE": "source",
    },
    healthChecks=[
        {
            "protocol": "HTTP",
            "path": "/h",
            "portIndex": 0,
            "timeoutSeconds": 2,
            "intervalSeconds": 3,
            "gracePeriodSeconds": 4,
            "maxConsecutiveFailures": 5,
        }
    ],
    tasks=[task(1, "agent-1.example", [31000, 31001]), task(2, "127.0.0.2", [31000, 31001])],
)
APPS: list[dict[str, Any]] = [FULL] + [
    document
    for case in CASES
    for document in json.loads((case / "apps.json").read_text())["apps"]
    if document.get("tasks")
]
SEEDS = [bytes([n % 256, n // 256, n % len(FLAGS)]) for n in range(len(APPS))] + [
    bytes([0, 0, flags, 1, place, 1, atom]) for flags in range(2) for place in range(40) for atom in range(128, 170, 4)
]
SEEDS += [b"\x06\x00\x01\x01\x10\x01" + each for each in (b"\x10", b"\x7f", b"\x00")]  # in the address of a task
FIRST = read_app(app("/first", [10800], {"HAPROXY_0_VHOST": "first.example"}, tasks=[task(7, "127.0.0.7", [31800])]))
"""Writes the rules that the first of all writes (COMPAT.md 6.9), so that the victim never does."""
VICTIM = read_app(app("/victim", [10900], {"HAPROXY_0_VHOST": "victim.example"}, tasks=[task(8, "127.0.0.8", [31900])]))
PICKLED = [pickle.dumps(document) for document in APPS]
MAX_TEXTS = 3
LONGEST = 3 + 1 + MAX_TEXTS * (2 + 64)
"""Bytes that `check` can read: what comes after means nothing."""

PLAIN = re.compile(r"[A-Za-z0-9./:,_*\s-]")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
KINDS = {"text", "texts", "vhost", "lower", "auth"}
Path = tuple[Any, ...]


class World(NamedTuple):
    """What is made of flags once, as in a process that runs for long; ``alone`` are the lines of the victim."""

    rules: Rules
    writer: FragmentWriter
    renderer: Renderer
    alone: Counter[str]


def check(data: bytes) -> None:
    """An app, flags, then places with the texts to put there."""
    choices = Choices(data)
    number = (choices.below(256) + 256 * choices.below(256)) % len(APPS)
    flags = FLAGS[choices.below(len(FLAGS))]
    hostile, harmless = pickle.loads(PICKLED[number]), pickle.loads(PICKLED[number])
    for _ in range(choices.below(MAX_TEXTS + 1)):
        place, kind = choices.one_of(_places_of(number))
        text = choices.text()
        _put(hostile, place, text)
        _put(harmless, place, text if kind == "template" else _harmless(text, kind))
    _compare(hostile, harmless, _world(flags))


@cache
def _world(flags: tuple[str, ...]) -> World:
    argv = ("--group", "*", *flags)
    rules, renderer = rules_of(*argv), renderer_of(*argv)
    both, first = (_document(renderer, apps, rules) for apps in ([FIRST, VICTIM], [FIRST]))
    alone = Counter(both.split("\n")) - Counter(first.split("\n"))
    return World(rules, FragmentWriter(catalogue_of(*flags), rules), renderer, alone)


def _harmless(text: str, kind: str) -> str:
    """Return a harmless text of the same shape; what is read as a number or a truth value has no other."""
    if kind not in KINDS:
        return text
    text = text.lower() if kind in {"lower", "vhost"} else text
    return "".join(each if PLAIN.fullmatch(each) else f"q{ord(each):x}q" for each in text)


@cache
def _places_of(number: int) -> list[tuple[Path, str]]:
    document = APPS[number]
    indexes = range(len(document.get("portDefinitions") or document.get("ports") or [0]))
    labels = [(("labels", f"HAPROXY_{n}_{name}"), kind) for n in indexes for name, (_, kind) in sorted(LABELS.items())]
    labels.sort(key=lambda label: label[1] == "template")
    fields = [path for path in _texts(document) if path[0] != "labels"]
    return [*((path, "text") for path in fields), (("labels", "HAPROXY_GROUP"), "group"), *labels]


def _texts(value: Any, path: Path = ()) -> Iterator[Path]:
    if isinstance(value, str):
        yield path
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in members:
        yield from _texts(member, (*path, name))


def _put(document: dict[str, Any], path: Path, text: str) -> None:
    holder: Any = document
    for name in path[:-1]:
        holder = holder[name]
    holder[path[-1]] = text


def _compare(hostile: dict[str, Any], harmless: dict[str, Any], world: World) -> None:
    read = agreed(read_app, hostile, allowed=(AppError,))
    if read is None:
        return
    written = _fragments(read, world)
    expected = written if harmless == hostile else _fragments(agreed(read_app, harmless, allowed=(AppError,)), world)
    for index, (service, fragment) in written.items():
        if index in expected and not service.options.templates:
            for text, harmless_text in zip(_every(fragment), _every(expected[index][1]), strict=True):
                assert text == harmless_text or _lines(text) == _lines(harmless_text), (text, harmless_text)
                assert not CONTROL.search(text), text
        _check_maps(fragment, service)
    if not any(text in json.dumps(hostile) for text in ("victim", "10900")):
        _check_victim(read, world)


def _fragments(read: App | None, world: World) -> dict[int, tuple[Service, Fragment]]:
    if read is None:
        return {}
    addresses = {each.host: f"127.9.0.{number % 250}" for number, each in enumerate(read.tasks)}
    found = agreed(services_of, read, world.rules, read.service_ports, Surroundings(addresses), allowed=(AppError,))
    first_use, refusals = FirstUse(True, True, True, True), (TemplateError, ServiceError)
    fragments = {}
    for service in found[0] if found else ():
        fragment = agreed(world.writer.write, service, first_use, allowed=refusals)
        if fragment is not None:
            fragments[service.port_index] = (service, fragment)
    return fragments


def _every(fragment: Fragment) -> list[str]:
    hosts = [text for host in fragment.vhost.hosts for _, text in host.texts]
    return [
        *(fragment.userlist, fragment.vhost.http, fragment.vhost.https, *hosts),
        *(fragment.appid, fragment.frontend, fragment.backend, fragment.servers),
    ]


def _lines(text: str) -> Counter[tuple[str, int]]:
    """Return the lines, as HAProxy cuts them, as first words and numbers of words."""
    return Counter(_shape(line) for line in text.split("\n"))


def _shape(line: str) -> tuple[str, int]:
    words = re.split(r"[ \t]+", line.strip(" \t"))
    return words[0], len(words)


def _check_maps(fragment: Fragment, service: Service) -> None:
    """Every entry is one line of two words; a host may be empty (COMPAT.md 10, row 20), and then it routes nobody."""
    entries = [*fragment.vhost.domains, *([fragment.app_entry] if fragment.app_entry else [])]
    for key, backend in entries:
        assert backend == service.backend
        assert len(backend.split()) == 1
        assert len(key.split()) <= 1
        assert not CONTROL.search(key + backend)
        assert "\n" not in key + backend


def _check_victim(hostile: App, world: World) -> None:
    """The document of both has every line that the victim has alone; only the shared head knows how many there are."""
    missing = world.alone - Counter(_document(world.renderer, [FIRST, hostile, VICTIM], world.rules).split("\n"))
    assert not missing, missing


def _document(renderer: Renderer, apps: list[App], rules: Rules) -> str:
    rendering = renderer.render(desired_state(apps, rules))
    return rendering.config + rendering.domain_map + rendering.app_map
