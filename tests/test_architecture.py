"""What the map names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.source_code import tree_of

ROOT = Path(__file__).resolve().parent.parent
MAP = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")

#: A file, and the function or class of it that is named behind it.
NAMED = re.findall(r"`((?:trafficapp|agents|web|models)/[\w/]+\.py)` `(\w+(?:\.\w+)?)`", MAP)
FILES = sorted(set(re.findall(r"`((?:trafficapp|agents|web|models|tests)/[\w/]+\.py)`", MAP)))


def names_in(path: Path) -> set[str]:
    """Functions, classes and methods of a module."""
    found = set[str]()
    for node in tree_of(path).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            methods = (one for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))
            found |= {f"{node.name}.{one.name}" for one in methods}
    return found


def test_the_ways_are_described_by_files_and_functions() -> None:
    assert len(NAMED) >= 15
    assert len(FILES) >= 15


@pytest.mark.parametrize("file", FILES)
def test_files_on_the_map_are_there(file: str) -> None:
    assert (ROOT / file).is_file()


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_functions_on_the_map_are_there(file: str, name: str) -> None:
    assert name in names_in(ROOT / file)
