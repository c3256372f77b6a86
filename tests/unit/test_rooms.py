"""The table of rooms in ARCHITECTURE.md says what is true: which rooms there are, and who imports whom."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

import fastlb

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(fastlb.__file__).parent
PAGE = PACKAGE.parent / "ARCHITECTURE.md"
WORDS = {"errors", "model"}
OUTSIDE_WORLD = {"logging", "os", "pathlib", "random", "socket", "subprocess", "tempfile", "threading", "time"}
READS_ITS_SWITCH = "kernel"  # from the environment, once, when it is imported


class Room(NamedTuple):
    layer: str
    may_import: set[str] | None


def table() -> dict[str, Room]:
    rows = re.findall(r"^\| (\w+) \| `([\w/]+)` \| .* \| (.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {
        room: Room(layer, None if imports == "all" else set() if imports == "-" else set(imports.split(", ")))
        for layer, room, imports in rows
    }


def files_of(room: str) -> list[Path]:
    return sorted((PACKAGE / room).glob("*.py")) if room.endswith("/") else [PACKAGE / f"{room}.py"]


def imports_of(room: str) -> Iterator[str]:
    """Yield every module that the room imports, for types or at run time, by its full name."""
    for path in files_of(room):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (name.name for name in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module == "fastlb":
                yield from (f"fastlb.{name.name}" for name in node.names if not name.name.startswith("__"))
            elif isinstance(node, ast.ImportFrom):
                yield node.module or ""


def rooms_imported_by(room: str) -> set[str]:
    names = {name.split(".")[1] for name in imports_of(room) if name.startswith("fastlb.")}
    return {f"{name}/" if (PACKAGE / name).is_dir() else name for name in names} - {room}


ROOMS = table()
CHECKED = [room for room, row in ROOMS.items() if row.may_import is not None]
THINKING = [room for room, row in ROOMS.items() if row.layer in {"words", "thinking"} and room != READS_ITS_SWITCH]


def test_every_module_is_a_room_and_every_room_is_there():
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    folders = {f"{path.parent.name}/" for path in PACKAGE.glob("*/__init__.py")}
    assert set(ROOMS) == modules | folders


@pytest.mark.parametrize("room", CHECKED)
def test_a_room_imports_what_the_table_says_and_nothing_else(room):
    assert rooms_imported_by(room) - WORDS == ROOMS[room].may_import


@pytest.mark.parametrize("room", THINKING)
def test_thinking_rooms_do_not_touch_the_outside_world(room):
    assert {name.split(".")[0] for name in imports_of(room)}.isdisjoint(OUTSIDE_WORLD)


@pytest.mark.parametrize("room", CHECKED)
def test_every_file_opens_by_saying_what_it_is(room):
    assert all(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) for path in files_of(room))
