"""The plots are SVG that any reader of XML takes, of a bounded size, with every dot inside."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from fastlb.admin.plots import HEIGHT, MOST_DOTS, SPANS_MIN, WIDTH, latency_plot, workers_plot

SVG = "{http://www.w3.org/2000/svg}"


def drawn(svg):
    """Parse it as a browser would that takes it from a page."""
    return ElementTree.fromstring(str(svg).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))


@pytest.mark.parametrize("seconds", [0.0, 1e-9, 0.003, 1.0, 59.0, 1e6])
def test_a_dot_is_inside_whatever_its_value(seconds):
    (dot,) = drawn(latency_plot([(1.0, seconds, "live")])).iter(f"{SVG}circle")
    assert 0 < float(dot.get("cx")) < WIDTH
    assert 0 < float(dot.get("cy")) < HEIGHT


def test_more_changes_than_there_is_room_for_are_the_last_ones():
    plot = drawn(latency_plot([(float(at_s), 0.01 * at_s, "live") for at_s in range(1, 1001)]))
    titles = [title.text for title in plot.iter(f"{SVG}title")]
    assert (len(titles), "10000 ms" in titles[-1]) == (MOST_DOTS, True)


def test_without_changes_there_is_a_plot_all_the_same():
    assert list(drawn(latency_plot([])).iter(f"{SVG}circle")) == []
    assert "5 min ago" in workers_plot([], [], 1000.0, 1.0)


def test_old_workers_hold_until_the_next_sample_and_until_now():
    plot = drawn(workers_plot([(-9000.0, 2), (900.0, 1)], [], 1000.0, 9000.0))
    line = next(path for path in plot.iter(f"{SVG}path") if path.get("class") == "line").get("d")
    heights = [float(step.split("V")[1]) for step in line.split("H")[1:]]
    assert line.startswith("M54")
    assert heights[0] == heights[-1]
    assert float(line.split(" ")[1].split("H")[0]) < heights[0]


@pytest.mark.parametrize(("running_s", "minutes"), [(1, 5), (301, 15), (901, 60), (1e6, 60)])
def test_a_young_fastlb_shows_a_shorter_time(running_s, minutes):
    assert minutes in SPANS_MIN
    assert f"{minutes} min ago" in workers_plot([], [], 1000.0, running_s)


def test_reasons_from_outside_do_no_harm_in_a_plot():
    reload = {"at_s": 999.0, "ok": False, "reasons": ['"><script>alert(1)</script>', "\x1b[31m\u202e"]}
    svg = workers_plot([], [reload], 1000.0, 1.0)
    (title,) = drawn(svg).iter(f"{SVG}title")
    assert "<script>" not in svg
    assert title.text.endswith(r'reload failed: "><script>alert(1)</script>; \x1b[31m\u202e')
