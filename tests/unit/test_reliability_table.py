"""The table of promises: every row is there, and every test that it names exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "docs" / "reliability.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
ROW = re.compile(r"^\| (\d+) \|.*\|$", re.MULTILINE)
FULL = {*range(1, 8), *range(15, 25)}
"""Rows of which nothing may be left open."""
OPEN = ("Not yet", "Not shown", "In part", "not shown by a test")


@cache
def defined_in(path: str) -> frozenset[str]:
    """The tests of a file, by its text."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    )


def rows() -> dict[int, str]:
    """The rows of the table by their numbers."""
    return {int(match[1]): match[0] for match in ROW.finditer(TABLE.read_text(encoding="utf-8"))}


def test_every_test_that_is_named_exists() -> None:
    named = NAMED.findall(TABLE.read_text(encoding="utf-8"))
    assert len(named) > 60
    assert [f"{path}::{name}" for path, name in named if not (ROOT / path).is_file()] == []
    assert [f"{path}::{name}" for path, name in named if name not in defined_in(path)] == []


def test_every_row_is_there_and_says_what_it_does_not_show() -> None:
    found = rows()
    assert sorted(found) == list(range(1, 31))
    for number, row in found.items():
        is_open = any(words in row for words in OPEN)
        assert is_open or NAMED.search(row), f"row {number} names no test and does not say so"
        assert number not in FULL or not is_open, f"row {number} leaves something open"
