"""``--longhelp``: the manual, made from the tables that the code runs on (COMPAT.md 2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastlb.labels import TEMPLATE_LABELS
from fastlb.meanings import APP_MEANINGS, TEMPLATE_MEANINGS, VALUE_MEANINGS
from fastlb.template_sources import template_sources
from fastlb.templates import OFFERED

if TYPE_CHECKING:
    import argparse

OVERVIEW = """# fastlb

fastlb reads apps and tasks from Marathon and keeps an HAProxy configuration, its maps and the running HAProxy as their
labels say. The usage:

"""


def manual(parser: argparse.ArgumentParser) -> str:
    """Return the overview, the usage in a fence, every template with its default, and every label."""
    parts = [OVERVIEW, "```\n", parser.format_help(), "```\n\n## Templates\n"]
    for name, source in sorted(template_sources({}).items()):
        offered = ", ".join(sorted(OFFERED.get(name, ()))) or "it is not filled in"
        label = f"Label: `HAPROXY_{{n}}_{name}`. " if name in TEMPLATE_LABELS else ""
        parts.append(f"\n### `HAPROXY_{name}`\n\n{label}Placeholders: {offered}.\n\n```\n{source.text}```\n")
    parts.append("\n## Labels\n\n")
    meanings = VALUE_MEANINGS | {name: f"template: {text}" for name, text in TEMPLATE_MEANINGS.items()}
    parts += [f"- `HAPROXY_{{n}}_{name}`: {text}\n" for name, text in sorted(meanings.items())]
    parts += [f"- `{name}`: {text}\n" for name, text in sorted(APP_MEANINGS.items())]
    return "".join(parts)
