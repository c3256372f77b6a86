"""The text of a template: compiled and filled in or refused; never attribute access, never a text without bound."""

from __future__ import annotations

from pathlib import Path

from fastlb import kernel
from fastlb.errors import TemplateError
from fastlb.shapes import CHECK_FIELDS
from fastlb.templates import OFFERED, compile_placeholders
from tests.fakes.apps import CHECK, catalogue_of
from tests.fuzz.choices import Choices
from tests.fuzz.twins import agreed

NAMES = sorted(OFFERED)
TEXTS = sorted((Path(__file__).parents[2] / "templates").glob("HAPROXY_*"))
SEEDS = [bytes([number % len(NAMES)]) + path.read_bytes() for number, path in enumerate(TEXTS)] + [
    b"\x00{healthCheck[path]} {port:>8} {backend!r:s} {{}} {healthCheck[a][0]}",
    b"\x01{backend.__class__.__mro__} {0} {} {port:{width}} {a!z} {healthCheck[x",
]
LONGEST = 1000
"""Characters that one placeholder may make at most: three digits of width."""


class Shy:
    """A value that formats, and tells when a template reaches one of its attributes by name."""

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"a template reached the attribute {name}")

    def __getitem__(self, key: object) -> object:
        raise KeyError(key)

    def __repr__(self) -> str:
        return "shy"


VALUES: dict[str, object] = {name: "value" for names in OFFERED.values() for name in names}
VALUES |= {"port": 31000, "serverId": 7, "healthCheck": CHECK} | dict.fromkeys(CHECK_FIELDS[1:], 3)


def check(data: bytes) -> None:
    """The first byte says which template it is the label of."""
    name = NAMES[Choices(data).below(len(NAMES))]
    text = data[1:].decode(errors="replace")
    own = agreed(catalogue_of().fill, name, {name: text}, VALUES, allowed=(TemplateError,))
    try:
        program = compile_placeholders(text)
    except ValueError:
        assert own is None or "{" not in text
        return
    filled = agreed(kernel_fill, program, allowed=(KeyError, IndexError, ValueError, TypeError))
    if filled is not None:
        assert len(filled) <= len(text) + LONGEST * sum(not isinstance(part, str) for part in program)


def kernel_fill(program) -> str:
    return kernel.fill(program, VALUES)
