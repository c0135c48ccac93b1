"""Comparisons as Markdown and as a page: what they say, and that no run's name can do anything."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.evaluation.comparison import rows_of
from raygen.report.comparison import comparison_page, markdown, marks_of, names_of, table_of
from tests.budget import examples
from tests.unit.evaluation.evaluations import FRECHET, LOSS, evaluation
from tests.unit.evaluation.reports import HOSTILE
from tests.unit.report.test_page import ANYTHING, Page, check_inert

NAMES = ("/runs/first", "/runs/second")


def two(first: str = NAMES[0], second: str = NAMES[1], spread: float = 0.001) -> list[dict[str, object]]:
    return [
        evaluation({LOSS: 2.0, FRECHET: 5.0}, run=first, spread=spread),
        evaluation({LOSS: 1.5, FRECHET: 5.0}, run=second, spread=-spread),
    ]


def rendered(first: str, second: str) -> tuple[str, str]:
    documents = two(first, second)
    rows = rows_of(documents)
    return markdown(documents, rows), comparison_page(documents, rows)


def cells(line: str) -> list[str]:
    """The cells of a row of a table in Markdown, whose own bars have a backslash before them."""
    return re.split(r"(?<!\\)(?:\\\\)*\|", line)[1:-1]


def test_markdown_says_values_intervals_the_best_and_what_is_real() -> None:
    lines = markdown(two(), rows_of(two())).splitlines()
    assert [one.strip() for one in cells(lines[0])] == [
        "metric",
        "first",
        "second",
        "difference to the first",
    ]
    assert "loss (nats)" in lines[2]
    assert re.search(r"\| 2 \(1\.99\d to 2\.00\d\) \| 1\.5 \(.*\) \* \| -0\.5, real \|", lines[2])
    assert lines[3].endswith("+0, may be chance |")
    assert "12,345" in lines[5]
    assert "20" in cells(lines[6])[1], "2 seconds for 100 samples"
    assert "another seed of training is not in them" in lines[-1]


def test_a_page_says_the_same_and_draws_it() -> None:
    page = check_inert(comparison_page(two(), rows_of(two())))
    for said in ("first and second", "1.5 (1.49", "(best)", "-0.5, real", "may be chance", "less is better"):
        assert said in page.text
    assert len([one for one in page.all("svg") if one.get("role") == "img"]) == 4
    assert all(0 <= float(one["cx"].rstrip("%")) <= 100 for one in page.all("circle"))


def test_the_policy_of_a_page_allows_its_style_alone() -> None:
    html = comparison_page(two(), rows_of(two()))
    style = re.search("<style>(.*?)</style>", html, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = next(m["content"] for m in Page(html).all("meta") if m.get("http-equiv"))
    assert f"default-src 'none'; style-src 'sha256-{digest}'" in policy
    assert "script" not in policy
    assert "<script" not in html
    assert not re.search(r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//", html)


@pytest.mark.parametrize("name", [HOSTILE, "a|b", "*x* *", "<b>x</b>", "`c`\n| x |", "[a](https://b.org)"])
def test_a_hostile_name_is_text(name: str) -> None:
    text, html = rendered(name, "second")
    page = check_inert(html)
    assert "<script" not in html
    assert str(7 * 191) not in page.text
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(cells(line)) for line in table} == {4}
    assert not re.search(r"(?<!\\)[<`\[\]]", text)
    assert not re.search(r"(?<!\\)\*(?! *\|| is the best)", text)


@examples(60)
@given(ANYTHING, ANYTHING)
def test_no_name_changes_the_table_or_gets_out_of_its_place(first: str, second: str) -> None:
    text, html = rendered(first, second)
    check_inert(html)
    table = text.split("\n\n")[0].splitlines()
    assert len(table) == 2 + 2 + 3
    assert {len(cells(line)) for line in table} == {4}


@examples(60)
@given(
    st.lists(
        st.tuples(st.sampled_from(["/a/x", "/b/x", "/a/x/", "metric", "y", ""]), st.sampled_from([1, 2]))
    )
)
def test_every_run_has_a_column_of_its_own(runs: list[tuple[str, int]]) -> None:
    documents = [evaluation({LOSS: float(n)}, run=run, step=step) for n, (run, step) in enumerate(runs)]
    assert len(set(names_of(documents))) == len(documents)
    if documents:
        row = table_of(documents, rows_of(documents))[0]
        assert row["metric"] == "loss (nats)"
        assert len(row) == len(documents) + 2


def test_names_are_no_longer_than_they_have_to_be() -> None:
    assert names_of(two()) == ["first", "second"]
    steps = [evaluation({LOSS: 1.0}, step=step) for step in (10, 20)]
    assert names_of(steps) == ["a, step 10", "a, step 20"]


def test_what_does_not_compare_says_why_in_place_of_differences() -> None:
    documents = two()
    documents[1]["data"] = "else"
    text = markdown(documents, rows_of(documents))
    assert "| measured on other data |" in text
    assert " * |" not in text.splitlines()[2]
    assert "measured on other data" in check_inert(comparison_page(documents, rows_of(documents))).text


def test_what_was_not_measured_is_said_and_not_drawn() -> None:
    documents = [evaluation({LOSS: 1.0}, run="/a"), evaluation({LOSS: 2.0, FRECHET: 3.0}, run="/b")]
    rows = rows_of(documents)
    assert "| not measured | 3 " in markdown(documents, rows)
    assert [mark.run for mark in marks_of(rows[1], names_of(documents))] == ["b"]
    third = evaluation({LOSS: 4.0}, run="/c", spread=0)
    assert "b: +1, real; c: +3, real" in markdown([*documents, third], rows_of([*documents, third]))


def test_equal_values_without_intervals_are_drawn_all_the_same() -> None:
    documents = two()
    for one in documents:
        one["intervals"] = {}
    rows = rows_of(documents)
    assert "-0.5, no interval" in markdown(documents, rows)
    marks = marks_of(rows[1], names_of(documents))
    assert [(mark.place, mark.width) for mark in marks] == [(8.0, 0.0)] * 2
    check_inert(comparison_page(documents, rows))
