"""One app with hostile texts in its fields and labels: no text reaches outside its field, whatever it is.

    bytes -> a recorded app with some texts replaced -> services -> hostile fragments
          -> the same with harmless texts of the same shape -----> harmless fragments

The shape of a text: its blanks, commas, colons and slashes, which parts of it differ, and whether it is empty. Each
hostile fragment has to have the lines of the harmless one, with as many words. A label that is a template may write any
lines, in the place of that template alone. And nobody else's lines depend on any of it.
"""

from __future__ import annotations

import copy
import json
import re
from collections import Counter
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

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

    from fastlb.model import Rules, Service

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
FIRST = app("/first", [10800], {"HAPROXY_0_VHOST": "first.example"}, tasks=[task(7, "127.0.0.7", [31800])])
"""Writes the rules that the first of all writes (COMPAT.md 6.9), so that the victim never does."""
VICTIM = app("/victim", [10900], {"HAPROXY_0_VHOST": "victim.example"}, tasks=[task(8, "127.0.0.8", [31900])])

PLAIN = re.compile(r"[A-Za-z0-9./:,_*\s-]")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
KINDS = {"text", "texts", "vhost", "lower", "auth"}
Path = tuple[Any, ...]


def check(data: bytes) -> None:
    """An app, flags, then places with the texts to put there."""
    choices = Choices(data)
    document = APPS[(choices.below(256) + 256 * choices.below(256)) % len(APPS)]
    flags = FLAGS[choices.below(len(FLAGS))]
    hostile, harmless = copy.deepcopy(document), copy.deepcopy(document)
    for _ in range(choices.below(4)):
        place, kind = choices.one_of(_places(document))
        text = choices.text()
        _put(hostile, place, text)
        _put(harmless, place, text if kind == "template" else _harmless(text, kind))
    _compare(hostile, harmless, flags)


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


def _places(document: dict[str, Any]) -> list[tuple[Path, str]]:
    return _places_of(next(number for number, each in enumerate(APPS) if each is document))


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


def _compare(hostile: dict[str, Any], harmless: dict[str, Any], flags: tuple[str, ...]) -> None:
    rules = rules_of("--group", "*", *flags)
    written, expected = (_fragments(document, rules, flags) for document in (hostile, harmless))
    for index, (service, fragment) in written.items():
        if index in expected and not service.options.templates:
            assert _shapes(fragment) == _shapes(expected[index][1]), (fragment, expected[index][1])
            assert not any(map(CONTROL.search, _every(fragment))), fragment
        _check_maps(fragment, service)
    _check_victim(hostile, flags)


def _fragments(document: dict[str, Any], rules: Rules, flags: tuple[str, ...]) -> dict[int, tuple[Service, Fragment]]:
    read = agreed(read_app, document, allowed=(AppError,))
    if read is None:
        return {}
    addresses = {each.host: f"127.9.0.{number % 250}" for number, each in enumerate(read.tasks)}
    found = agreed(services_of, read, rules, read.service_ports, Surroundings(addresses), allowed=(AppError,))
    fragments = {}
    for service in found[0] if found else ():
        writer = FragmentWriter(catalogue_of(*flags), rules)
        fragment = agreed(
            writer.write, service, FirstUse(True, True, True, True), allowed=(TemplateError, ServiceError)
        )
        if fragment is not None:
            fragments[service.port_index] = (service, fragment)
    return fragments


def _every(fragment: Fragment) -> list[str]:
    hosts = [text for host in fragment.vhost.hosts for _, text in host.texts]
    return [
        *(fragment.userlist, fragment.vhost.http, fragment.vhost.https, *hosts),
        *(fragment.appid, fragment.frontend, fragment.backend, fragment.servers),
    ]


def _shapes(fragment: Fragment) -> list[Counter[tuple[str, int]]]:
    """Return of each text its lines, as HAProxy cuts them, as first words and numbers of words."""
    return [Counter(_shape(line) for line in text.split("\n")) for text in _every(fragment)]


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


def _check_victim(hostile: dict[str, Any], flags: tuple[str, ...]) -> None:
    """The document of both has every line that the victim has alone; only the shared head knows how many there are."""
    if "victim" in json.dumps(hostile) or "10900" in json.dumps(hostile):
        return
    document = _document([FIRST, hostile, VICTIM], flags)
    missing = _alone(flags) - Counter(document.split("\n"))
    assert not missing, missing


@lru_cache
def _alone(flags: tuple[str, ...]) -> Counter[str]:
    both, first = _document([FIRST, VICTIM], flags), _document([FIRST], flags)
    return Counter(both.split("\n")) - Counter(first.split("\n"))


def _document(documents: list[dict[str, Any]], flags: tuple[str, ...]) -> str:
    rules = rules_of("--group", "*", *flags)
    apps = []
    for document in documents:
        try:
            apps.append(read_app(document))
        except AppError:
            continue
    rendering = renderer_of("--group", "*", *flags).render(desired_state(apps, rules))
    return rendering.config + rendering.domain_map + rendering.app_map
