from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.data.cleaning.report import BROKEN, CleaningReport, Example, check_share
from raygen.errors import DataError
from tests.budget import examples


@st.composite
def reports(draw: st.DrawFn) -> CleaningReport:
    report = CleaningReport(records=draw(st.integers(0, 9)), broken=draw(st.integers(0, 9)))
    for name in draw(st.lists(st.sampled_from(["unicode", "minWords", BROKEN]), unique=True)):
        part = report.of(name)
        part.seen = draw(st.integers(0, 9))
        part.changed = draw(st.integers(0, 9))
        numbers = draw(st.lists(st.integers(0, 200), max_size=9))
        part.show(Example(f"a/b.jsonl#{number}", f"b, line {number}", "why") for number in numbers)
    report.drop("duplicates", Example("c", "c", "equals b"))
    return report


@examples(50)
@given(st.lists(reports(), min_size=2, max_size=5), st.randoms(use_true_random=False))
def test_parts_add_up_to_the_same_in_any_order(parts: list[CleaningReport], chance: random.Random) -> None:
    whole = CleaningReport()
    for part in parts:
        whole = whole.merged(part)
    shuffled = chance.sample(parts, len(parts))
    first, *rest = shuffled
    right = CleaningReport()
    for part in reversed(rest):
        right = part.merged(right)
    assert first.merged(right) == whole
    assert CleaningReport.from_json(json.loads(json.dumps(whole.to_json()))) == whole


def test_examples_are_the_first_by_number() -> None:
    part = CleaningReport().of("x")
    part.show(Example(f"f#{number}", "") for number in (10, 9, 300, 2, 100, 1, 20))
    assert [example.key for example in part.examples] == ["f#1", "f#2", "f#9", "f#10", "f#20"]
    assert part.wants("f#3")
    assert not part.wants("f#21")


def test_too_many_broken_records_stop_the_work() -> None:
    report = CleaningReport(records=200, broken=2)
    report.of(BROKEN).show([Example("a#1", "s3://b/a, line 1", "it is cut off")])
    check_share(report, 0.01)
    check_share(CleaningReport(), 0)
    report.broken = 3
    with pytest.raises(DataError) as caught:
        check_share(report, 0.01)
    assert caught.value.what == (
        "3 of 200 records are broken, and at most 1.00% may be: s3://b/a, line 1: it is cut off; and 2 more"
    )
    assert "maxBrokenShare" in caught.value.remedy


def test_the_rest_of_a_file_weighs_as_many_records_as_are_lost() -> None:
    report = CleaningReport(records=201)
    report.lose(Example("a", "a.csv", "it is cut off"), records=800)
    assert (report.records, report.broken, report.kept) == (1000, 800, 200)
    assert report.of(BROKEN).dropped == 800
    with pytest.raises(DataError, match=r"800 of 1,000 records are broken.*it is cut off; and 799 more"):
        check_share(report, 0.01)


def test_what_nobody_counted_is_told_as_an_estimate() -> None:
    report = CleaningReport(records=201)
    report.lose(Example("a", "a.csv", "it is cut off"), records=800, is_estimate=True)
    whole = CleaningReport(records=1).merged(CleaningReport.from_json(report.to_json()))
    with pytest.raises(DataError, match=r"about 800 of 1,001 records.*it is cut off; and about 799 more"):
        check_share(whole, 0.01)
