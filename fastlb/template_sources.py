"""Where the text of each global template comes from (COMPAT.md 5.2): environment, sandbox, working directory, defaults.

Decided once per process. A file named ``HAPROXY_<NAME>.j2`` is Jinja2, one without the suffix holds marathon-lb's
placeholders; beside each other, the one without the suffix wins, since that is the one marathon-lb would have read.
"""

from __future__ import annotations

import logging
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from fastlb.errors import UsageError
from fastlb.mesos import sandbox_templates
from fastlb.templates import NAMES, Source

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.resources.abc import Traversable

log = logging.getLogger(__name__)

JINJA_SUFFIX = ".j2"


def template_sources(environ: Mapping[str, str], folder: Path = Path("templates")) -> dict[str, Source]:
    """Return the source of every global template. The sandbox's files come before those of ``folder``."""
    folders = (*map(Path, sandbox_templates(environ)), folder)
    return {name: _source(f"HAPROXY_{name}", environ, folders) for name in sorted(NAMES)}


def _source(name: str, environ: Mapping[str, str], folders: tuple[Path, ...]) -> Source:
    text = environ.get(name)
    if text:
        return Source(text.replace("\\n", "\n"), jinja=False, origin=f"environment variable {name}")
    return next(filter(None, (_file(name, folder) for folder in folders)), None) or _default(name)


def _file(name: str, folder: Path) -> Source | None:
    for suffix in ("", JINJA_SUFFIX):
        path = folder / f"{name}{suffix}"
        try:
            text = path.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, UnicodeDecodeError) as error:
            log.error("template file %s cannot be read (%s); the default text is used instead", path, error)
            continue
        return Source(text, jinja=bool(suffix), origin=f"file {path}")
    return None


def _default(name: str) -> Source:
    defaults: Traversable = files("fastlb") / "default_templates"
    for suffix in ("", JINJA_SUFFIX):
        path = defaults / f"{name}{suffix}"
        if path.is_file():
            return Source(path.read_text(encoding="utf-8"), jinja=bool(suffix), origin=f"default {name}{suffix}")
    raise UsageError(f"the installation of fastlb is incomplete: there is no default template {name}")
