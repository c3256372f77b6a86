"""What is huge costs in proportion to its size, or is left out with a reason; it never costs the others anything."""

from __future__ import annotations

import gc
import time
import tracemalloc

import orjson
import pytest

from fastlb.decision import Decider
from fastlb.errors import MarathonAnswerError
from fastlb.labels import MAX_CHARACTERS, VALUE_LABELS
from fastlb.marathon.answers import all_apps
from fastlb.marathon.http import Answer
from fastlb.sse import MAX_EVENT_BYTES, EventDecoder
from fastlb.store import Store
from tests.fakes.apps import CHECK, app, renderer_of, rules_of, task

MB = 1024 * 1024
GROWTH = 2.6
"""How much longer twice the size may take; quadratic time would take 4 times as long."""

GOOD = app("/good", [10999])


def cpu_seconds(work, size):
    """Python does not look for garbage meanwhile, as it does not in the controller either: that comes in leaps."""
    gc.collect()
    gc.disable()
    begin = time.process_time()
    try:
        work(size)
        return time.process_time() - begin
    finally:
        gc.enable()


def grows_in_proportion(work, size):
    """Whether twice the size takes about twice the time in the best of several goes: the machine may be busy."""
    for _ in range(8):
        small, big = (min(cpu_seconds(work, each) for _ in range(2)) for each in (size, 2 * size))
        if big <= GROWTH * small + 0.002:
            return True
    return False


def decided(*documents):
    decider = Decider(Store(0.0), renderer_of(), rules_of())
    decider.store.take([GOOD, *documents], 0.0)
    rendering = decider.decide().rendering()
    assert "\nbackend good_10999\n" in rendering.config
    return rendering.config, [str(note) for note in (*decider.notes, *rendering.notes)]


@pytest.mark.parametrize("unit", ["a,", "a ", "é"])
@pytest.mark.parametrize("name", ["VHOST", "AUTH", "BACKEND_WEIGHT", "BACKEND_HEAD"])
def test_a_label_of_50_mb_is_left_out_with_a_short_reason(name, unit):
    text = unit * (50 * MB // len(unit))
    tracemalloc.start()
    config, notes = decided(app(labels={f"HAPROXY_0_{name}": text}))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 4 * len(text) + 20 * MB
    assert "backend app_10000" not in config
    assert [note for note in notes if "app /app" in note]
    assert all(len(note) < 1000 for note in notes)


@pytest.mark.parametrize("name", [*sorted(VALUE_LABELS), "BACKEND_HEAD", "USERLIST_HEAD"])
def test_time_grows_with_a_label_in_proportion_up_to_the_longest(name):
    def decide(size):
        for unit in ("a,", "a ", ": ", "{backend}", "{{"):
            label = unit * (size // len(unit))
            labels = {"HAPROXY_0_VHOST": "a.example", f"HAPROXY_0_{name}": label}
            config, _ = decided(app(labels=labels, healthChecks=[CHECK]))
            assert len(config) < 100 * MAX_CHARACTERS

    assert grows_in_proportion(decide, MAX_CHARACTERS // 2)


def test_twenty_thousand_tasks_take_twice_as_long_as_ten_thousand():
    def decide(count):
        tasks = [task(n, f"127.{n >> 16}.{n >> 8 & 255}.{n & 255}") for n in range(count)]
        config, _ = decided(app(tasks=tasks))
        assert config.count("\n  server 127_") == count + 1  # the good app has one

    assert grows_in_proportion(decide, 10_000)


def test_an_app_of_100_000_tasks_is_left_out_with_a_reason_as_no_backend_can_have_so_many():
    tasks = [task(n, f"127.{n >> 16}.{n >> 8 & 255}.{n & 255}") for n in range(100_000)]
    config, notes = decided(app(tasks=tasks))
    assert "backend app_10000" not in config
    assert any("32766" in note for note in notes)


@pytest.mark.parametrize("text", [b"[" * 100_000 + b"]" * 100_000, b'{"x":' * 100_000 + b"1" + b"}" * 100_000])
def test_an_answer_nested_100_000_deep_is_refused(text):
    with pytest.raises(MarathonAnswerError):
        all_apps(Answer(200, (), b'{"apps":[' + text + b"]}", 0.0, "http://marathon"))


def test_an_app_as_deep_as_json_may_be_is_left_out_with_a_reason():
    document = orjson.loads(orjson.dumps(app()))
    document["healthChecks"] = orjson.loads(b'[{"protocol":"TCP","x":' + b"[" * 1000 + b"]" * 1000 + b"}]")
    config, notes = decided(document)
    assert "backend app_10000" not in config
    assert any("nested too deep" in note for note in notes)


@pytest.mark.parametrize("member", ["id", "host", "path", "labels"])
def test_a_field_of_50_mb_is_left_out_with_a_short_reason(member):
    huge = "/" + "x" * 50 * MB
    document = {
        "id": app(huge),
        "host": app(tasks=[task(host=huge)]),
        "path": app(healthChecks=[{**CHECK, "path": huge}]),
        "labels": {**app(), "labels": huge},
    }[member]
    config, notes = decided(document)
    assert len(config) < MB
    assert notes
    assert all(len(note) < 1000 for note in notes)


def test_a_line_of_the_stream_without_end_is_not_held():
    decoder = EventDecoder()
    tracemalloc.start()
    for _ in range(64):
        assert decoder.feed(b"x" * MB) == []
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 2.5 * MAX_EVENT_BYTES
