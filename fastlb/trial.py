"""Tries a rendering on HAProxy before it replaces anything (COMPAT.md 7.2, 7.3).

The candidate and its maps are written to a private folder that is gone afterwards; in the text that is tried, the paths
of the maps are those of the candidates, so that a new vhost is checked with the map that routes it (quirk 25). Whoever
uses such a folder holds a lock on it, so that the next one can tell what somebody left who was killed.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from fastlb.errors import PublishError
from fastlb.settings import APP_MAP, DOMAIN_MAP
from fastlb.validation import Verdict, validate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastlb.haproxy import HAProxy
    from fastlb.render import Rendering

CANDIDATE = "haproxy.cfg"
FOLDER_PREFIX = "fastlb-trial-"


class Trial:
    """Validates renderings. ``haproxy_dir`` is the maps' folder as the text names it; None: accept everything."""

    def __init__(self, haproxy: HAProxy | None, haproxy_dir: str, timeout_s: float) -> None:
        self._haproxy = haproxy
        self._haproxy_dir = haproxy_dir
        self._timeout_s = timeout_s
        self.count = 0

    def run(self, rendering: Rendering) -> Verdict:
        """Return HAProxy's verdict on ``rendering``. Raises PublishError if the candidate cannot be written."""
        if self._haproxy is None:
            return Verdict(ok=True, complaints=(), output="", seconds=0.0)
        self.count += 1
        try:
            with _folder() as folder:
                return self._validate(self._haproxy, rendering, folder)
        except OSError as error:
            raise PublishError(f"a candidate configuration cannot be written: {error}; the old one stays") from error

    def _validate(self, haproxy: HAProxy, rendering: Rendering, folder: Path) -> Verdict:
        config = rendering.config
        for name, text in ((DOMAIN_MAP, rendering.domain_map), (APP_MAP, rendering.app_map)):
            (folder / name).write_text(text, encoding="utf-8", newline="")
            config = config.replace(f"{self._haproxy_dir}/{name}", str(folder / name))
        candidate = folder / CANDIDATE
        candidate.write_text(config, encoding="utf-8", newline="")
        return validate(haproxy, candidate, timeout_s=self._timeout_s)


def sweep_trials() -> None:
    """Remove the folders of trials in which somebody was killed, of any fastlb that has them beside ours."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}*"):
        with suppress(OSError):  # in use, somebody else's, or gone meanwhile
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(folder)
            finally:
                os.close(handle)


@contextmanager
def _folder() -> Iterator[Path]:
    """Give a private folder, gone afterwards: removed without opening anything, since descriptors may have run out."""
    folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX))
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            yield folder
        finally:
            os.close(handle)
    finally:
        _remove(folder)


def _remove(folder: Path) -> None:
    for name in (DOMAIN_MAP, APP_MAP, CANDIDATE):
        (folder / name).unlink(missing_ok=True)
    folder.rmdir()
