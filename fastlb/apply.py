"""Carries out a plan: publish the files, have HAProxy load them, and put the old files back if it could not.

    Rendering --probe new ports--> files (domain map, app map, configuration) --load--> outcome

The order of files is COMPAT.md 7.2's: maps first, since the configuration names them. What has been confirmed is
remembered as text, so that a failed load leaves on disk what HAProxy still runs.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fastlb.errors import PublishError
from fastlb.files import Archive, ArchiveName, publish, read_text
from fastlb.master import ReloadOutcome, probe_binds

if TYPE_CHECKING:
    from fastlb.loading import Loader
    from fastlb.master import BusyBind
    from fastlb.model import Rules
    from fastlb.render import Rendering
    from fastlb.settings import Settings

log = logging.getLogger(__name__)

ARCHIVE_FOLDER = Path("/tmp")  # noqa: S108 - where marathon-lb's users look for them; see `Archive` about links
REFUSED_FILE = "haproxy_tmp_conf_fail"


class Texts(NamedTuple):
    """The three files."""

    config: str
    domain_map: str
    app_map: str


class Applier:
    """Brings renderings to HAProxy, one after another."""

    def __init__(self, settings: Settings, rules: Rules, loader: Loader) -> None:
        self._settings = settings
        self._paths = settings.paths
        self._rules = rules
        self._loader = loader
        self._confirmed = self._on_disk()
        self._binds: set[tuple[str, int]] | None = None

    @property
    def serves_apps(self) -> bool:
        """Whether the files on disk, which HAProxy was or will be started on, route to anything."""
        return self._confirmed is not None and "\nbackend " in self._confirmed.config

    def busy_binds(self, rendering: Rendering) -> list[BusyBind]:
        """Return the new ports of ``rendering`` that somebody else holds; a reload onto one would hurt the others.

        While it is not known what HAProxy itself listens on, nothing is probed.
        """
        known = self._binds if self._loader.is_running() else set()
        return [] if known is None else probe_binds(sorted(self._binds_of(rendering) - known))

    def apply(self, rendering: Rendering) -> ReloadOutcome:
        """Publish and load ``rendering``. Raises PublishError; the files of before then stand again."""
        texts = self._texts(rendering)
        try:
            self._publish(texts, archive=True)
            outcome = self._loader.load()
        except PublishError:
            self._restore()
            raise
        if outcome.ok:
            self._confirmed = texts
            self._binds = self._binds_of(rendering)
        elif self._loader.restores:
            self._restore()
        return outcome

    def reload(self) -> ReloadOutcome:
        """Have HAProxy load what is on disk, as SIGUSR1 asks for (COMPAT.md 2.4)."""
        return self._loader.load()

    def keep_refused(self, rendering: Rendering) -> None:
        """Put a refused configuration where operators look for it (COMPAT.md 7.2 step 5)."""
        path = self._paths.config.with_name(REFUSED_FILE)
        try:
            publish(path, rendering.config, archive=self._archive(ArchiveName.REFUSED_CONFIG))
        except PublishError as error:
            log.warning("the refused configuration is not kept: %s", error)

    def _texts(self, rendering: Rendering) -> Texts:
        if not self._rules.haproxy_map:
            return Texts(rendering.config, "", "")
        return Texts(rendering.config, rendering.domain_map, rendering.app_map)

    def _publish(self, texts: Texts, *, archive: bool) -> None:
        paths, maps = self._paths, self._rules.haproxy_map
        for path, text, name, wanted in (
            (paths.domain_map, texts.domain_map, ArchiveName.DOMAIN_MAP, maps),
            (paths.app_map, texts.app_map, ArchiveName.APP_MAP, maps),
            (paths.config, texts.config, ArchiveName.CONFIG, True),
        ):
            before = read_text(path)
            if before == text or (not wanted and before is None):
                continue
            publish(path, text, archive=self._archive(name) if archive and wanted else None)

    def _restore(self) -> None:
        if self._confirmed is None:
            return
        try:
            self._publish(self._confirmed, archive=False)
        except PublishError as error:
            log.error("the files of before could not be put back, HAProxy must not be restarted now: %s", error)

    def _archive(self, name: ArchiveName) -> Archive:
        return Archive(ARCHIVE_FOLDER, self._settings.archive_versions, name)

    def _on_disk(self) -> Texts | None:
        config = read_text(self._paths.config)
        if not config:
            return None
        return Texts(config, read_text(self._paths.domain_map) or "", read_text(self._paths.app_map) or "")

    def _binds_of(self, rendering: Rendering) -> set[tuple[str, int]]:
        services = {(service.options.bind_address, service.port) for service in rendering.services}
        return services | set(self._rules.own_ports)
