"""The page of results."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"


def test_the_page_is_written_from_the_results_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    table = importlib.import_module("table")
    assert (BENCHMARKS / "results" / "README.md").read_text() == table.page()


def rows(page: str) -> Iterator[dict[str, list[str]]]:
    """Every row that has a limit: the cells before it, and the limit."""
    column = None
    for line in page.splitlines():
        cells = line.strip("|").split("|") if line.startswith("|") else []
        if not cells:
            column = None
        elif "must" in cells:
            column = cells.index("must")
        elif column is not None and column < len(cells) and re.search(r"[<>]=? [\d.,]+", cells[column]):
            yield {"before": cells[:column], "must": [cells[column]]}


def numbers(cell: str) -> list[float]:
    """The figures of a cell, unless it is a range or words with figures in them."""
    found = re.fullmatch(r"([\d.,-]+)( ?%| \+- [\d.]+)?(?: and ([\d.,]+))?", cell)
    return [float(part.replace(",", "")) for part in (found[1], found[3]) if part] if found else []


def test_every_figure_beyond_its_limit_is_said_to_be_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    judged = importlib.import_module("image_table").judged
    wrong, seen = [], 0
    for row in rows((BENCHMARKS / "results" / "README.md").read_text()):
        (must,) = row["must"]
        if "+-" in must:
            continue
        *_, figures = filter(None, map(numbers, row["before"]))
        plain, seen = must.removesuffix(", missed"), seen + 1
        if must not in {judged(plain, figure) for figure in figures}:
            wrong.append(row)
    assert wrong == []
    assert seen > 60


@pytest.mark.parametrize(
    ("must", "value", "told"),
    [
        (">= 0.98", 0.9776, ">= 0.98, missed"),
        (">= 0.98", 0.98, ">= 0.98"),
        ("<= 0.1 %", 0.2, "<= 0.1 %, missed"),
        ("< 1%", 1.0, "< 1%, missed"),
        ("goal >= 1.3", 1.2, "goal >= 1.3, missed"),
        ("<= 1,200", 524.4, "<= 1,200"),
        ("reported", 7.0, "reported"),
        ("", 7.0, ""),
    ],
)
def test_a_limit_says_whether_it_is_kept(
    monkeypatch: pytest.MonkeyPatch, must: str, value: float, told: str
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    assert importlib.import_module("image_table").judged(must, value) == told
