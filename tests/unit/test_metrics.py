"""What happened and what is, as Prometheus and a collector of Mesos read it."""

from __future__ import annotations

import json
from itertools import pairwise
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fastlb.board import Board
from fastlb.census import Census, take_census
from fastlb.errors import RuntimeApiError
from fastlb.journal import Journal
from fastlb.metrics import state
from fastlb.metrics.exposition import Metrics
from fastlb.metrics.state import Sources
from fastlb.old_workers import Totals
from tests.fakes.apps import app
from tests.unit.test_explain import deciding


class HAProxy:
    """Answers `show info`, or does not."""

    def __init__(self):
        self.said = {"Version": "2.8.3", "Uptime_sec": "7"}

    def info(self):
        if self.said is None:
            raise RuntimeApiError("nobody listens")
        return self.said


class Stage:
    """Metrics whose sources are at hand; the clock stands still."""

    now_s = 1000.0

    def __init__(self, *, follows_events=True, runtime=None):
        self.board, self.haproxy, self.journal = Board(), HAProxy(), Journal(None)
        self.renderer = SimpleNamespace(rendered_fragments=3, known_fragments=4, joined_documents=5)
        self.old_workers = SimpleNamespace(totals=Totals(), most=10)
        self.runtime = runtime
        sources = Sources(
            self.board, self.renderer, runtime, self.old_workers, self.haproxy, follows_events, started_s=900.0
        )
        self.metrics = Metrics(sources, self.journal)

    def samples(self):
        """Each sample by its name, with its labels' values after it."""
        families = text_string_to_metric_families(self.metrics.text().decode())
        return {
            " ".join((sample.name, *sample.labels.values())): sample.value
            for family in families
            for sample in family.samples
        }

    def __getitem__(self, name):
        return self.samples()[f"fastlb_{name}"]


@pytest.fixture
def stage(monkeypatch):
    monkeypatch.setattr(state, "monotonic", lambda: Stage.now_s)
    return Stage()


RELOAD = {"seconds": 0.3, "event_to_applied_s": 0.4}
ENTRIES = [
    (
        "event",
        {"event": "status_update_event", "apps": ["/a"], "queued_s": 0.002},
        "events_total status_update_event",
        1,
    ),
    ("event", {"event": "status_update_event", "apps": ["/a"], "queued_s": 0.002}, "event_queue_seconds_sum", 0.002),
    ("fetched", {"asked": "everything"}, "fetch_received_bytes_total everything", 700),
    ("fetched", {"asked": ["/a", "/b"]}, "fetch_seconds_sum apps", 0.25),
    ("fetched", {"asked": ["/a"]}, "event_settle_seconds_sum", 0.01),
    ("fetch_failed", {"reason": "no"}, "fetch_failures_total", 1),
    ("repaired", {"apps": ["/a", "/b"]}, "resync_repairs_total", 1),
    ("stream_opened", {"url": "u"}, "event_stream_open", 1),
    ("stream_lost", {"reason": "r"}, "event_stream_losses_total", 1),
    ("tried", {"ok": True, "trials": 3, "seconds": 0.5, "waited_s": 0.1}, "trials_total", 3),
    ("tried", {"ok": True, "trials": 3, "seconds": 0.5, "waited_s": 0.1}, "reload_settle_seconds_sum", 0.1),
    ("live", {"seconds": 0.001, "event_to_applied_s": 0.02}, "event_to_applied_seconds_sum live", 0.02),
    ("live", {"seconds": 0.001, "event_to_applied_s": None}, "event_to_applied_seconds_count live", 0),
    ("live", {"seconds": 0.001, "event_to_applied_s": None}, "live_change_seconds_count", 1),
    ("reload", {"ok": True, "reasons": ["SIGUSR1"], **RELOAD}, "event_to_applied_seconds_sum reload", 0.4),
    ("reload", {"ok": True, "reasons": ["SIGUSR1"], **RELOAD}, "reload_reasons_total ok signal", 1),
    ("reload", {"ok": True, "reasons": ["SIGUSR1"], "seconds": 0.3}, "reloads_total ok", 1),
    ("reload", {"ok": False, "reasons": [], **RELOAD}, "reloads_total failed", 1),
    ("reload", {"ok": False, "reasons": [], **RELOAD}, "event_to_applied_seconds_count reload", 0),
    ("stopped", {"apps": ["/a"], "servers": 4, "ok": True}, "servers_stopped_total ok", 4),
    ("drift", {"repairs": [], "differences": 5}, "drift_repairs_total", 5),
    ("doubt", {"said": "s"}, "doubts_total", 1),
    ("refused", {"app": "/a", "reason": "r"}, "refusals_total", 1),
    ("haproxy_started", {"pid": 1}, "haproxy_starts_total", 1),
    ("haproxy_exited", {"pid": 1, "said": "s"}, "haproxy_exits_total", 1),
    ("old_worker_ended", {"ok": True, "pid": 1}, "old_workers_ended_total ok", 1),
    ("old_workers_limit", {"said": "s", "workers": 3}, "old_workers_limit_reached_total", 1),
]


@pytest.mark.parametrize(("kind", "fields", "name", "value"), ENTRIES)
def test_an_entry_of_the_journal_is_counted(stage, kind, fields, name, value):
    if kind == "fetched":
        fields = {"seconds": 0.25, "received_bytes": 700, "settled_s": 0.01, **fields}
    before = stage.samples().get(f"fastlb_{name}", 0.0)
    stage.journal.write(kind, **fields)
    assert stage[name] - before == pytest.approx(value)


def test_an_entry_that_nobody_counts_costs_nothing(stage):
    before = without_processes(stage.samples())
    stage.journal.write("released", app="/a")
    assert without_processes(stage.samples()) == before


def without_processes(samples):
    return {name: value for name, value in samples.items() if "process" not in name}


def test_the_ages_count_from_the_start_until_there_is_something_to_count_from(stage):
    assert (stage["last_event_age_seconds"], stage["last_agreement_age_seconds"]) == (100.0, 100.0)
    stage.board.event_s, stage.board.agreed_s = 990.0, 995.0
    assert (stage["last_event_age_seconds"], stage["last_agreement_age_seconds"]) == (10.0, 5.0)


def test_who_polls_has_no_age_of_events_that_could_page_anybody(monkeypatch):
    monkeypatch.setattr(state, "monotonic", lambda: Stage.now_s)
    samples = Stage(follows_events=False).samples()
    assert "fastlb_last_event_age_seconds" not in samples
    assert samples["fastlb_last_agreement_age_seconds"] == 100.0


def test_what_there_is_and_what_is_left_out_is_what_the_loop_put_on_the_board(stage):
    assert "fastlb_apps" not in stage.samples()
    stage.board.census = Census(5, 6, 7, {"refused": 2, "unreadable": 0})
    assert [stage[name] for name in ("apps", "services", "servers", "left_out refused")] == [5, 6, 7, 2]


def test_a_census_counts_what_is_written_and_what_is_left_out_by_reason():
    decider = deciding(app("/web", labels={"HAPROXY_0_VHOST": "web.test"}), app("/bad", labels={"HAPROXY_0_PORT": "x"}))
    census = take_census(decider)
    services = decider.document.services
    assert (census.apps, census.services) == (2, len(services))
    assert census.servers == sum(len(service.servers) for service in services) > 0
    assert {reason: count for reason, count in census.left_out.items() if count} == {"unusable": 1}


def test_a_copied_document_has_as_many_servers():
    document = deciding(app("/web")).document
    assert document.copy().servers == document.servers > 0


def test_commands_are_counted_by_kind_and_failure(monkeypatch):
    runtime = SimpleNamespace(sent={"add server": 3, "set server": 1}, failed={"add server": 1})
    stage = Stage(runtime=runtime)
    assert (stage["runtime_commands_total add server"], stage["runtime_commands_total set server"]) == (3, 1)
    assert stage["runtime_command_failures_total add server"] == 1


def test_the_oldest_worker_grows_older_between_two_looks(stage):
    stage.old_workers.totals = Totals(2, 30, 4_000, 940.0)
    names = ("old_workers", "old_workers_connections", "old_workers_resident_bytes", "old_workers_oldest_seconds")
    assert [stage[name] for name in names] == [2, 30, 4_000, 60.0]
    assert stage["old_workers_limit"] == 10


def test_haproxy_is_up_if_it_answers(stage):
    assert (stage["haproxy_up"], stage["haproxy_info 2.8.3"], stage["haproxy_worker_uptime_seconds"]) == (1, 1, 7)
    stage.haproxy.said = None
    assert (stage["haproxy_up"], "fastlb_haproxy_info 2.8.3" in stage.samples()) == (0, False)


def test_the_process_is_measured(stage):
    assert stage["process_resident_memory_bytes"] > 1e6
    assert stage["process_cpu_seconds_total"] > 0


def test_every_name_has_the_prefix_a_help_text_and_a_unit_or_a_number(stage):
    stage.board.census = Census(1, 1, 1, {"refused": 1})
    families = list(text_string_to_metric_families(stage.metrics.text().decode()))
    assert all(family.name.startswith("fastlb_") and family.documentation.endswith(".") for family in families)
    assert not any(sample.name.endswith("_created") for family in families for sample in family.samples)
    assert all(family.name.endswith("_seconds") for family in families if family.type == "histogram")


def test_the_buckets_of_a_histogram_rise(stage):
    stage.journal.write("live", seconds=0.001, event_to_applied_s=0.02)
    values = [value for name, value in stage.samples().items() if "event_to_applied_seconds_bucket live" in name]
    assert len(values) > 10
    assert all(one <= other for one, other in pairwise(values))


def test_flat_json_has_the_same_numbers_under_names_with_slashes(stage):
    stage.journal.write("reload", ok=True, reasons=["SIGUSR1"], seconds=0.3)
    flat = json.loads(stage.metrics.flat())
    assert flat["fastlb/reloads_total/ok"] == 1
    assert flat["fastlb/reload_reasons_total/signal/ok"] == 1
    assert flat["fastlb/reload_seconds_count"] == 1
    assert flat["fastlb/haproxy_up"] == 1
    assert all(isinstance(value, float) for value in flat.values())
    assert not any("bucket" in name for name in flat)
