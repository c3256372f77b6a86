"""Files before the load, old files back after a failed one, nothing rewritten without need, and ports of strangers.

`Script` stands where HAProxy is reloaded: it says what it was told to say, and remembers what lay on disk.
"""

from __future__ import annotations

import socket

import pytest

from fastlb import apply as room
from fastlb.apply import REFUSED_FILE, Applier, binds_in
from fastlb.cli import build_parser
from fastlb.errors import PublishError
from fastlb.master import ReloadOutcome
from fastlb.settings import read_settings
from tests.fakes.apps import app, rendered, rules_of

FIRST = rendered([app("/first", [10000], {"HAPROXY_0_VHOST": "first.test"})], "--haproxy-map")
SECOND = rendered([app("/second", [10001], {"HAPROXY_0_VHOST": "second.test"})], "--haproxy-map")


class Script:
    def __init__(self, config, *outcomes, restores=True):
        self.config = config
        self.outcomes = list(outcomes)
        self.restores = restores
        self.loaded = []

    def reload(self):
        return self.load()

    def confirm(self):
        pass

    def load(self):
        self.loaded.append(self.config.read_text())
        ok = self.outcomes.pop(0) if self.outcomes else True
        return ReloadOutcome(ok, 0.0, None, "" if ok else "it does not like it")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of the configuration; the archive is beside it."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "archive").mkdir()
    monkeypatch.setattr(room, "ARCHIVE_FOLDER", tmp_path / "archive")
    return tmp_path / "etc"


def applier(folder, *outcomes, restores=True, flags=("--haproxy-map",)):
    argv = ["sse", "--group", "external", "--haproxy-config", str(folder / "haproxy.cfg"), *flags]
    script = Script(folder / "haproxy.cfg", *outcomes, restores=restores)
    return Applier(read_settings(build_parser().parse_args(argv)), rules_of(*flags), script), script


def on_disk(folder):
    return [(folder / name).read_text() for name in ("haproxy.cfg", "domain2backend.map", "app2backend.map")]


def texts(rendering):
    return [rendering.config, rendering.domain_map, rendering.app_map]


def archived(folder):
    return {path.name: path.read_text() for path in (folder.parent / "archive").iterdir()}


def test_all_files_are_in_place_before_haproxy_loads_them(folder):
    subject, script = applier(folder)
    assert subject.apply(FIRST).ok
    assert script.loaded == [FIRST.config]
    assert on_disk(folder) == texts(FIRST)


def test_what_was_written_ahead_is_put_in_place_unless_that_is_there_already(folder):
    subject, script = applier(folder)
    drafts = subject.draft(FIRST)
    inode = drafts[folder / "haproxy.cfg"].temporary.stat().st_ino
    (folder / "app2backend.map").write_text(FIRST.app_map)
    assert subject.apply(FIRST, drafts).ok
    assert (on_disk(folder), script.loaded) == (texts(FIRST), [FIRST.config])
    assert (folder / "haproxy.cfg").stat().st_ino == inode
    assert {path.name for path in folder.iterdir()} == {"haproxy.cfg", "domain2backend.map", "app2backend.map"}


def test_drafts_of_another_text_are_not_used(folder):
    subject, _ = applier(folder)
    subject.apply(FIRST, subject.draft(SECOND))
    assert on_disk(folder) == texts(FIRST)
    assert len(list(folder.iterdir())) == 3


def test_files_that_lie_behind_what_was_written_ahead_are_replaced_all_the_same(folder):
    """The files of live changes may be written after a draft that needed no new map was made."""
    subject, _ = applier(folder)
    subject.apply(FIRST)
    drafts = subject.draft(FIRST)
    subject.write(SECOND)
    subject.apply(FIRST, drafts)
    assert on_disk(folder) == texts(FIRST)


def test_what_haproxy_could_not_load_gives_way_to_what_it_runs(folder):
    subject, script = applier(folder, True, False)
    subject.apply(FIRST)
    assert not subject.apply(SECOND).ok
    assert script.loaded == [FIRST.config, SECOND.config]
    assert on_disk(folder) == texts(FIRST)


def test_what_was_there_at_the_start_comes_back_too(folder):
    applier(folder)[0].apply(FIRST)
    applier(folder, False)[0].apply(SECOND)
    assert on_disk(folder) == texts(FIRST)


def test_where_somebody_else_runs_haproxy_the_new_files_stay_whatever_came_of_it(folder):
    subject, _ = applier(folder, True, False, restores=False)
    subject.apply(FIRST)
    subject.apply(SECOND)
    assert on_disk(folder) == texts(SECOND)


def test_when_one_file_cannot_be_written_all_are_as_before(folder):
    subject, script = applier(folder)
    subject.apply(FIRST)
    in_the_way = folder / "app2backend.map"
    in_the_way.unlink()
    in_the_way.mkdir()
    with pytest.raises(PublishError, match=r"app2backend\.map"):
        subject.apply(SECOND)
    in_the_way.rmdir()
    assert (folder / "haproxy.cfg").read_text() == FIRST.config
    assert (folder / "domain2backend.map").read_text() == FIRST.domain_map
    assert script.loaded == [FIRST.config]


def test_a_file_that_has_not_changed_is_neither_rewritten_nor_archived(folder):
    subject, _ = applier(folder)
    subject.apply(FIRST)
    before = (folder / "haproxy.cfg").stat()
    subject.apply(FIRST)
    assert (folder / "haproxy.cfg").stat().st_ino == before.st_ino
    assert set(archived(folder)) == {"hap_cfg.1", "domain_map.1", "app_map.1"}


def test_each_published_file_is_archived_and_what_comes_back_is_not(folder):
    subject, _ = applier(folder, True, False)
    subject.apply(FIRST)
    subject.apply(SECOND)
    found = archived(folder)
    assert (found["hap_cfg.1"], found["hap_cfg.2"]) == (SECOND.config, FIRST.config)
    assert "hap_cfg.3" not in found


def test_without_maps_those_of_a_former_run_are_emptied_and_none_is_made(folder):
    (folder / "domain2backend.map").write_text("old")
    applier(folder, flags=())[0].apply(FIRST)
    assert (folder / "domain2backend.map").read_text() == ""
    assert not (folder / "app2backend.map").exists()


def test_a_refused_configuration_is_kept_beside_and_archived_under_its_own_name(folder):
    applier(folder)[0].keep_refused(FIRST)
    assert (folder / REFUSED_FILE).read_text() == FIRST.config
    assert archived(folder) == {"haproxy_temp_config_fail.1": FIRST.config}


def test_files_of_a_former_run_tell_whether_apps_are_expected(folder):
    assert not applier(folder)[0].serves_apps
    applier(folder)[0].apply(FIRST)
    assert applier(folder)[0].serves_apps
    applier(folder)[0].apply(rendered([], "--haproxy-map"))
    assert not applier(folder)[0].serves_apps


def test_only_new_ports_are_probed_and_each_busy_one_comes_with_its_line(folder):
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        bound = app("/web", [port], {"HAPROXY_0_BIND_ADDR": "127.0.0.1"})
        rendering = rendered([bound], "--bind-address", "127.0.0.3", "--http-port", "29080", "--https-port", "29443")
        subject, _ = applier(folder)
        busy = [(bind.host, bind.port, line) for bind, line in subject.busy_binds(rendering) if bind.port == port]
        line = rendering.config.splitlines().index(f"  bind 127.0.0.1:{port}") + 1
        assert busy == [("127.0.0.1", port, line)]
        subject.apply(rendering)
        assert subject.busy_binds(rendering) == []
        assert applier(folder, restores=False)[0].busy_binds(rendering) == []


def test_binds_are_read_with_their_first_line():
    config = "frontend a\n  bind *:80\n  bind 127.0.0.1:81 ssl crt x\nfrontend b\n  bind *:80\n  bind [::1]:82\n"
    assert binds_in(config) == {("*", 80): 2, ("127.0.0.1", 81): 3, ("::1", 82): 6}
