"""Carries out a plan: publish the files, have HAProxy load them, and put the old files back if it could not.

    Rendering --(drafts: written ahead)--> files (domain map, app map, configuration) --load--> outcome --> archive

The order of files is COMPAT.md 7.2's: maps first, since the configuration names them. What has been confirmed is
remembered as text, so that a failed load leaves on disk what HAProxy still runs. What nobody waits for, the archive,
comes last.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fastlb.errors import PublishError
from fastlb.files import Archive, ArchiveName, draft, publish, read_text, sync_folder
from fastlb.master import ReloadOutcome, probe_binds

if TYPE_CHECKING:
    from fastlb.files import Draft
    from fastlb.loading import Loader
    from fastlb.master import BusyBind
    from fastlb.model import Rules
    from fastlb.render import Rendering
    from fastlb.settings import Settings

    Drafts = dict[Path, Draft]

log = logging.getLogger(__name__)

_BIND = re.compile(r"^[ \t]+bind[ \t]+(\S*):(\d{1,5})\b", re.MULTILINE)

ARCHIVE_FOLDER = Path("/tmp")  # noqa: S108 - where marathon-lb's users look for them; see `Archive` about links
REFUSED_FILE = "haproxy_tmp_conf_fail"


class Texts(NamedTuple):
    """The three files."""

    config: str
    domain_map: str
    app_map: str


class File(NamedTuple):
    """One of them: where it is, what it is called in the archive, whether it is ``wanted`` or only has to be empty."""

    path: Path
    name: ArchiveName
    wanted: bool


class Applier:
    """Brings renderings to HAProxy, one after another."""

    def __init__(self, settings: Settings, rules: Rules, loader: Loader) -> None:
        self._settings = settings
        self._paths = settings.paths
        self._rules = rules
        self._loader = loader
        self._confirmed = self._on_disk()
        self._bound = binds_in(self._confirmed.config) if self._confirmed else {}
        """What the configuration binds that was loaded last; changes while HAProxy runs bind nothing."""

    @property
    def serves_apps(self) -> bool:
        """Whether the files on disk, which HAProxy was or will be started on, route to anything."""
        return self._confirmed is not None and "\nbackend " in self._confirmed.config

    def busy_binds(self, rendering: Rendering) -> list[tuple[BusyBind, int]]:
        """Return the new ports of ``rendering`` that somebody else holds, each with the line that binds it.

        A reload onto one would refuse every connection for 2 s and fail (HAPROXY.md F4). What HAProxy listens on
        itself is read from the files that it was given last.
        """
        if not self._loader.restores:
            return []
        fresh = {bind: line for bind, line in binds_in(rendering.config).items() if bind not in self._bound}
        return [(busy, fresh[busy.host, busy.port]) for busy in probe_binds(fresh)]

    @property
    def restores(self) -> bool:
        """Whether the files of before are put back when HAProxy could not load the new ones."""
        return self._loader.restores

    def draft(self, rendering: Rendering) -> Drafts:
        """Write ahead what `apply` will put in place of other texts, on any thread. Raises PublishError.

        Whoever does not apply it drops each of them.
        """
        drafts: Drafts = {}
        before = dict(self._files(self._confirmed)) if self._confirmed else {}
        try:
            for file, text in self._files(self._texts(rendering)):
                if text != before.get(file):
                    drafts[file.path] = draft(file.path, text)
        except PublishError:
            drop(drafts)
            raise
        return drafts

    def get_ready(self) -> None:
        """Do ahead what loading needs beside the files, on any thread."""
        self._loader.get_ready()

    def apply(self, rendering: Rendering, drafts: Drafts | None = None) -> ReloadOutcome:
        """Publish and load ``rendering``, of which ``drafts`` may have been made; they are gone afterwards.

        Raises PublishError; the files of before then stand again.
        """
        texts = self._texts(rendering)
        try:
            published = self._publish(texts, drafts or {})
            outcome = self._loader.load()
        except PublishError:
            self._restore()
            raise
        finally:
            drop(drafts or {})
        if outcome.ok:
            self._confirmed, self._bound = texts, binds_in(texts.config)
        elif self._loader.restores:
            self._restore()
        _outlive_a_power_cut(published)
        self._keep_versions(published)
        return outcome

    def write(self, rendering: Rendering) -> None:
        """Have the files on disk say what HAProxy was changed to while it runs. Raises PublishError.

        Nothing is archived: these files differ from the archived ones by what came and went.
        """
        texts = self._texts(rendering)
        _outlive_a_power_cut(self._publish(texts, {}))
        self._confirmed = texts
        self._loader.confirm()

    def reload(self) -> ReloadOutcome:
        """Have HAProxy load what is on disk, as SIGUSR1 asks for (COMPAT.md 2.4)."""
        return self._loader.reload()

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

    def _files(self, texts: Texts) -> list[tuple[File, str]]:
        paths, maps = self._paths, self._rules.haproxy_map
        return [
            (File(paths.domain_map, ArchiveName.DOMAIN_MAP, maps), texts.domain_map),
            (File(paths.app_map, ArchiveName.APP_MAP, maps), texts.app_map),
            (File(paths.config, ArchiveName.CONFIG, True), texts.config),
        ]

    def _publish(self, texts: Texts, drafts: Drafts) -> list[tuple[File, str]]:
        """Put in place what differs from what is there; return what it was."""
        published: list[tuple[File, str]] = []
        for file, text in self._files(texts):
            before = read_text(file.path)
            if before == text or (not file.wanted and before is None):
                continue
            made = drafts.get(file.path)
            (made if made and made.text == text else draft(file.path, text)).publish()
            published.append((file, text))
        return published

    def _keep_versions(self, published: list[tuple[File, str]]) -> None:
        for file, text in published:
            if file.wanted:
                self._archive(file.name).add(text)

    def _restore(self) -> None:
        if self._confirmed is None:
            return
        try:
            _outlive_a_power_cut(self._publish(self._confirmed, {}))
        except PublishError as error:
            log.error("the files of before could not be put back, HAProxy must not be restarted now: %s", error)

    def _archive(self, name: ArchiveName) -> Archive:
        return Archive(ARCHIVE_FOLDER, self._settings.archive_versions, name)

    def _on_disk(self) -> Texts | None:
        config = read_text(self._paths.config)
        if not config:
            return None
        return Texts(config, read_text(self._paths.domain_map) or "", read_text(self._paths.app_map) or "")


def _outlive_a_power_cut(published: list[tuple[File, str]]) -> None:
    """Until then it may bring the files of before back, which HAProxy accepted, too; so no load waits for it."""
    for folder in {file.path.parent for file, _ in published}:
        sync_folder(folder)


def drop(drafts: Drafts) -> None:
    """Remove drafts that are not in their places by now."""
    for each in drafts.values():
        each.drop()


def binds_in(config: str) -> dict[tuple[str, int], int]:
    """Return what the text binds, (address, port), with the first line that does, counted from 1."""
    binds: dict[tuple[str, int], int] = {}
    line, counted = 1, 0
    for match in _BIND.finditer(config):
        line += config.count("\n", counted, match.start())
        counted = match.start()
        binds.setdefault((match[1].strip("[]"), int(match[2])), line)
    return binds
