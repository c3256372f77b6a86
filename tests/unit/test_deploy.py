"""The dashboard, the alerts and the page of operating speak of metrics that there are, with labels that they have."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from fastlb.board import Board
from fastlb.census import REASONS, Census
from fastlb.journal import Journal
from fastlb.metrics.exposition import Metrics
from fastlb.metrics.state import Sources
from fastlb.old_workers import Totals

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "fastlb.json").read_text(encoding="utf-8"))
RULES = yaml.safe_load((ROOT / "deploy" / "prometheus" / "fastlb.rules.yml").read_text(encoding="utf-8"))
ALERTS = {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"]}
PAGE = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
OF_THE_SCRAPE = {"job", "instance"}
COMMANDS = {"add server": 1}


def exported() -> dict[str, list[dict[str, str]]]:
    """The labels of every sample, by its name, of a fastlb in which everything is there."""
    board, journal = Board(), Journal(None)
    board.census = Census(1, 1, 1, dict.fromkeys(REASONS, 1))
    sources = Sources(
        board,
        SimpleNamespace(rendered_fragments=1, known_fragments=1, joined_documents=1),
        SimpleNamespace(sent=COMMANDS, failed=COMMANDS),
        SimpleNamespace(totals=Totals(), most=10),
        SimpleNamespace(info=lambda: {"Version": "3.0.5", "Uptime_sec": "1"}),
        follows_events=True,
    )
    metrics = Metrics(sources, journal)
    journal.write("event", event="status_update_event", queued_s=0.1)
    found: dict[str, list[dict[str, str]]] = {}
    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample.labels)
    return found


EXPORTED = exported()
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [
    *(rule["expr"] for rule in ALERTS.values()),
    *(target["expr"] for panel in PANELS for target in panel["targets"]),
    *(each["expr"] for each in DASHBOARD["annotations"]["list"]),
]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_asks_for_what_there_is(expression):
    selectors = re.findall(r"\b(fastlb_\w+)(?:\{([^}]*)\})?", expression)
    assert selectors
    for name, matchers in selectors:
        assert name in EXPORTED
        for label, operator, value in re.findall(r'(\w+)(=~|!=|!~|=)"([^"]*)"', matchers):
            values = {labels.get(label) for labels in EXPORTED[name]}
            assert label in OF_THE_SCRAPE or (value in values if operator in {"=", "!="} else None not in values)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_groups_by_labels_that_there_are(expression):
    names = re.findall(r"\bfastlb_\w+", expression)
    known = OF_THE_SCRAPE.union(*(labels.keys() for name in names for labels in EXPORTED[name]))
    grouped = re.findall(r"\b(?:by|without|on) \(([^)]*)\)", expression)
    assert {label.strip() for group in grouped for label in group.split(",")} <= known
    assert expression.count("(") == expression.count(")")


def test_every_alert_says_where_and_what_and_how_urgent():
    for rule in ALERTS.values():
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"]["summary"]
        assert "absent(" in rule["expr"] or "{{ $labels.instance }}" in rule["annotations"]["summary"]


@pytest.mark.parametrize("name", ["fastlb_last_agreement_age_seconds", "fastlb_last_event_age_seconds"])
def test_the_two_numbers_that_matter_page_somebody(name):
    assert any(rule["expr"].startswith(name) and rule["labels"]["severity"] == "page" for rule in ALERTS.values())


def test_every_alert_is_explained_on_the_page_of_operating():
    assert set(re.findall(r"`(Fastlb\w+)`", PAGE)) == set(ALERTS)


def test_the_page_of_operating_lists_every_metric_and_no_other():
    listed = set(re.findall(r"^\| `(fastlb_\w+)`", PAGE, re.MULTILINE))
    families = {re.sub(r"(?<=_seconds)_(bucket|count|sum)$", "", name) for name in EXPORTED}
    assert listed == {name for name in families if not name.startswith("fastlb_process_")}


def test_panels_have_names_and_words_and_do_not_overlap():
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert taken.isdisjoint(cells)
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert all(panel["title"] and panel["description"] for panel in PANELS)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
