"""Every label has a meaning, and nothing else has."""

from __future__ import annotations

from fastlb import deployment
from fastlb.labels import LABELS, TEMPLATE_LABELS, VALUE_LABELS
from fastlb.meanings import APP_MEANINGS, NEVER_READ, TEMPLATE_MEANINGS, VALUE_MEANINGS
from fastlb.templates import NAMES


def test_the_labels_that_are_read_and_those_that_are_explained_are_the_same():
    assert VALUE_MEANINGS.keys() == VALUE_LABELS.keys()
    assert TEMPLATE_MEANINGS.keys() == TEMPLATE_LABELS


def test_labels_that_are_never_read_are_names_of_templates_and_not_of_labels():
    assert NAMES >= NEVER_READ
    assert NEVER_READ.isdisjoint(LABELS)


def test_what_deployment_groups_are_made_of_is_explained():
    read = {deployment.GROUP, deployment.STARTED_AT, deployment.NEW_INSTANCES, deployment.TARGET_INSTANCES}
    assert read <= APP_MEANINGS.keys()


def test_every_meaning_is_one_line():
    every = VALUE_MEANINGS | TEMPLATE_MEANINGS | APP_MEANINGS
    assert [name for name, text in every.items() if not text or not text.isprintable() or len(text) > 100] == []
