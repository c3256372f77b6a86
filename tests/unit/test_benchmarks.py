"""What of the benchmarks judges figures: a gate that never fails would be worse than none."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks import cases, floods, page
from benchmarks.changes import Moments
from benchmarks.figures import Row, Rows, Size, single, spread
from benchmarks.gates import gates
from benchmarks.generator import apps_answer, event_stream
from benchmarks.growth import GROWTH
from benchmarks.kernels import COMPILED
from benchmarks.stages import STAGES, fetched_between, stage_ms
from fastlb.sse import EventDecoder

SMALL, BIG = Size(1000, 3), Size(20_000, 3)


def figures(**changed: float) -> list[Row]:
    """Figures of a run in which everything is as it should be, in milliseconds, but for what is ``changed``."""
    rows = []
    for size in (SMALL, BIG):
        values = {cases.COLD: size.apps / 10, cases.TASK: 0.1, cases.AFTERWARDS: 0.05, cases.NOTHING: 0.03}
        values |= {cases.FRAGMENTS: 1, cases.JOINS: 0, GROWTH: 1.2} | (changed if size == BIG else {})
        rows += [single(what, size, COMPILED, "", value) for what, value in values.items()]
    return rows


def failing(rows: list[Row]) -> list[str]:
    return [gate.what for gate in gates(Rows(rows)) if not gate.holds]


def test_good_figures_pass_every_gate():
    assert failing(figures()) == []


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({cases.TASK: 15.0}, "one task changed over cold"),
        ({GROWTH: 1.8}, GROWTH),
        ({cases.NOTHING: 0.1}, "nothing changed over one task changed"),
        ({cases.FRAGMENTS: 2}, cases.FRAGMENTS),
        ({cases.JOINS: 1}, cases.JOINS),
    ],
)
def test_what_is_slower_with_the_size_or_does_more_than_it_must_fails_its_gate(changed, named):
    assert any(named in what for what in failing(figures(**changed)))


def test_counts_of_the_whole_program_are_gates():
    rows = [
        spread("requests for single apps per task event", SMALL, "fastlb", "requests", [1, 1, 2]),
        single("failed requests", SMALL, "fastlb", "requests", 1),
        single("failed requests", SMALL, "marathon-lb", "requests", 7),
    ]
    assert failing(rows) == ["requests for single apps per task event, 1000x3", "failed requests, 1000x3"]


def flooded(**changed: float) -> list[str]:
    """Gates that fail if changes take 5 ms without a flood, 20 ms with any, 6 ms with a scrape, but for ``changed``."""
    times_ms = {None: 5.0, floods.SCRAPE: 6.0} | dict.fromkeys((*floods.OURS, floods.HARMLESS), 20.0)
    times_ms |= {next(flood for flood in floods.FLOODS if flood.path == path): ms for path, ms in changed.items()}
    found = {each: floods.Found([0.0, ms, 9999.0], Counter()) for each, ms in times_ms.items()}
    assert floods.table(found).count("\n") == len(found) + 1
    return [gate.what for gate in floods.gates(found) if not gate.holds]


def test_a_flood_that_costs_fastlb_much_fails_its_gate_and_one_that_costs_haproxy_as_much_does_not():
    assert flooded() == []
    assert flooded(**{"/_haproxy_health_check": 100.0}) == []
    (failed,) = flooded(**{"/_haproxy_getconfig": 100.0})
    assert "_haproxy_getconfig" in failed


def test_equal_sizes_give_equal_clusters_and_whole_events():
    assert apps_answer(Size(30, 2)) == apps_answer(Size(30, 2))
    assert event_stream(0.01) == event_stream(0.01)
    assert len(EventDecoder().feed(event_stream(0.01))) > 20


def test_every_moment_between_event_and_traffic_belongs_to_one_stage():
    journal = [
        {"kind": "event", "at": 9.0},
        {"kind": "event", "at": 10.001},
        {"kind": "fetched", "at": 10.031, "seconds": 0.010, "asked": ["/a"], "received_bytes": 700},
        {"kind": "tried", "at": 10.140, "seconds": 0.100, "waited_s": 0.006},
        {"kind": "reload", "at": 10.340, "seconds": 0.200},
    ]
    found = stage_ms(journal, Moments(10.0, 10.341))
    assert found is not None
    assert [round(found[stage]) for stage in STAGES] == [1, 20, 10, 3, 6, 100, 200, 1]
    assert fetched_between(journal, 10.0, 10.4) == (1, 0, 700)
    assert stage_ms(journal[:3], Moments(10.0, 10.341)) is None


@pytest.mark.parametrize("text", ["5000", "x3", "0x3", "5000x", "axb"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ValueError, match=r"invalid literal|no size"):
        Size.parse(text)


def test_a_page_shows_one_run_and_keeps_what_is_above_its_heading(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(f"How to read it.\n\n{page.HEADING}\nOlder figures.\n")
    rows = Rows(figures())
    page.write(path, rows, {"Python": "3.11"}, gates(rows), "make bench", "figures.svg")
    text = path.read_text()
    assert text.startswith(f"How to read it.\n\n{page.HEADING}\n    make bench\n\n- Python: 3.11\n")
    assert "Older" not in text
    assert f"| {cases.COLD} | 2,000 |  |" in text
