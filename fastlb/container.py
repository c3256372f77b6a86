"""What marathon-lb's image was told, by words and environment variables, to how fastlb is started (COMPAT.md 2.5).

It must not touch files, environment or processes: `entry` does what is found here. Data flows: words and environment ->
`Start`. Credentials leave the words, which anybody on the machine can read, for the environment of the one process.
"""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from fastlb.errors import FastlbError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MODES = {"sse": "sse", "poll": "poll", "event": "sse"}
"""How fastlb calls what the first word asks for; ``event`` is what marathon-lb called it before it knew ``sse``."""
RELOADS = (
    "/marathon-lb/reload_haproxy.sh",
    "./reload_haproxy.sh",
    "reload_haproxy.sh",
    "sv reload /marathon-lb/service/haproxy",
)
"""Commands that do nothing but reload HAProxy, which fastlb does by itself."""
CERTIFICATE = "HAPROXY_SSL_CERT"
LAST_NUMBERED = 100
COMMAND = "FASTLB_COMMAND"
SECRETS = {"auth_credentials": "FASTLB_AUTH_CREDENTIALS", "dcos_auth_credentials": "FASTLB_DCOS_AUTH_CREDENTIALS"}

_ESCAPE = re.compile(r"\\([nrt\\])")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\"}


class Folders(NamedTuple):
    """Where this container may write: the configuration, and certificates from the environment."""

    config: str
    certificates: str


class Start(NamedTuple):
    """How fastlb is started.

    ``certificates`` are PEM texts by the path that they have to be written to; ``self_signed`` is where a certificate
    has to be there before, or is made; ``sysctl`` are pairs of key and value, which must not fail if they are
    ``strict``; ``said`` are remarks for the log.
    """

    words: tuple[str, ...]
    environment: Mapping[str, str]
    certificates: Mapping[str, str] = {}
    self_signed: str | None = None
    sysctl: tuple[tuple[str, str], ...] = ()
    strict: bool = True
    said: tuple[str, ...] = ()


def run(words: Sequence[str], environ: Mapping[str, str], folders: Folders) -> Start:
    """Return how the container starts. Raises FastlbError where marathon-lb's container exits with 1, or UsageError."""
    mode = _mode(words)
    if not environ.get("PORTS"):
        raise FastlbError(
            "the variable PORTS is not set; Marathon sets it for every task, by hand set it to the port of the "
            "statistics page: PORTS=9090"
        )
    taken, rest = _taken(words[1:])
    through = _through(taken.command or environ.get(COMMAND))
    environment = _passed_on(environ) | _logging(environ) | _secrets(taken)
    certificates = _certificates(environ, folders.certificates)
    given = taken.ssl_certs or environ.get("FASTLB_SSL_CERTS")
    fallback = f"{folders.certificates}/cert.pem"
    paths = [given, *certificates] if given else [*certificates] or [fallback]
    return Start(
        words=(mode, "--haproxy-config", folders.config, "--ssl-certs", ",".join(paths), *through, *rest),
        environment=environment,
        certificates=certificates,
        self_signed=fallback if paths == [fallback] and not certificates else None,
        sysctl=_sysctl(environ.get("HAPROXY_SYSCTL_PARAMS", "")),
        strict=not environ.get("HAPROXY_SYSCTL_NONSTRICT"),
        said=(f"PORTS={environ['PORTS']}", *_remarks(words[0], through, environ)),
    )


def marathon_lb(words: Sequence[str], environ: Mapping[str, str], *, follows_events: bool) -> Start:
    """Return what ``marathon_lb.py`` with these words is today. Raises UsageError."""
    taken, rest = _taken(words, keeps=("ssl_certs", "command"))
    mode = ("sse",) if follows_events else ("poll", "--once")
    return Start(words=(*mode, *rest), environment={**environ, **_secrets(taken)})


def _mode(words: Sequence[str]) -> str:
    if words and words[0] in MODES:
        return MODES[words[0]]
    given = f"it is {words[0]!r}" if words else "there is none"
    raise FastlbError(f"the first word has to be a mode, sse or poll, and {given}")


class _Parser(argparse.ArgumentParser):
    """A parser that leaves the last word to whoever called it."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def _taken(words: Sequence[str], keeps: tuple[str, ...] = ()) -> tuple[argparse.Namespace, list[str]]:
    """Return the flags that are not passed on as words, and all other words in their order."""
    parser = _Parser(add_help=False)
    for name in ("ssl_certs", *SECRETS, "command"):
        if name not in keeps:
            short = ("-c",) if name == "command" else ()
            parser.add_argument("--" + name.replace("_", "-"), *short, dest=name)
    return parser.parse_known_args(list(words))


def _secrets(taken: argparse.Namespace) -> dict[str, str]:
    given = {variable: getattr(taken, name) for name, variable in SECRETS.items()}
    return {variable: value for variable, value in given.items() if value is not None}


def _certificates(environ: Mapping[str, str], folder: str) -> dict[str, str]:
    """Return path and text of each; numbered ones count only beside one without a number."""
    if not environ.get(CERTIFICATE):
        return {}
    numbers = ("", *map(str, range(LAST_NUMBERED + 1)))
    given = {number: environ.get(CERTIFICATE + number) for number in numbers}
    return {f"{folder}/cert{number}.pem": _unescaped(text) for number, text in given.items() if text}


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda match: _ESCAPED[match[1]], text).rstrip() + "\n"


def _passed_on(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what is dealt with here."""
    return {name: value for name, value in environ.items() if not name.startswith(CERTIFICATE) and name != COMMAND}


def _logging(environ: Mapping[str, str]) -> dict[str, str]:
    """Return where logs go as far as nobody says: HAProxy's to standard output, unless ``HAPROXY_SYSLOGD`` is empty."""
    wanted = "stdout" if environ.get("HAPROXY_SYSLOGD", "yes") else "none"
    defaults = {"SYSLOG_SOCKET": "/dev/null", "FASTLB_HAPROXY_LOG": wanted}
    return {name: value for name, value in defaults.items() if not environ.get(name)}


def _sysctl(words: str) -> tuple[tuple[str, str], ...]:
    """Return key and value of each word. Raises UsageError for a word that is no ``key=value``."""
    pairs = [word.partition("=") for word in words.split()]
    for key, sign, _ in pairs:
        if not sign or not re.fullmatch(r"[\w./-]+", key) or ".." in key:
            raise UsageError(f"HAPROXY_SYSCTL_PARAMS: {key!r} is not of the form name=value")
    return tuple((key, value) for key, _, value in pairs)


def _through(command: str | None) -> tuple[str, ...]:
    """Return the words that have a command of one's own reload HAProxy, which in a container nobody but us runs."""
    return ("--reload-through", command) if command and command not in RELOADS else ()


def _remarks(mode: str, through: tuple[str, ...], environ: Mapping[str, str]) -> list[str]:
    said = []
    if mode == "event":
        said.append("the mode event is gone; the event stream is followed, as with sse")
    if through:
        said.append(
            f"--command {through[1]!r}: fastlb runs HAProxy in this container, and this command reloads it, by calling "
            "/marathon-lb/reload_haproxy.sh"
        )
    if not environ.get(CERTIFICATE) and any(environ.get(f"{CERTIFICATE}{n}") for n in range(LAST_NUMBERED + 1)):
        said.append(f"{CERTIFICATE}0 and so on are not used, since {CERTIFICATE} itself is not set")
    return said
