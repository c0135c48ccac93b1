"""Runs beside each other: which values compare, which is the best, and which differences are real."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from raygen.evaluation.comparison import rows_of
from raygen.evaluation.intervals import GROUPS, jackknife
from tests.unit.evaluation.evaluations import FRECHET, LOSS, REPEATED, evaluation


def test_the_best_is_by_the_metric_and_all_differences_are_to_the_first() -> None:
    documents = [
        evaluation({LOSS: 2.0, FRECHET: 5.0}, spread=0.001),
        evaluation({LOSS: 1.5, FRECHET: 5.0005}, spread=0.001),
        evaluation({LOSS: 2.5, FRECHET: 4.0}, spread=0.001),
    ]
    loss, frechet = rows_of(documents)
    assert (loss.name, loss.unit, loss.values, loss.best) == ("loss", "nats", (2.0, 1.5, 2.5), 1)
    assert [one.value for one in loss.differences if one is not None] == [-0.5, 0.5]
    assert [one.real for one in loss.differences if one is not None] == [True, True]
    assert frechet.best == 2
    assert all(row.not_comparable == "" for row in (loss, frechet))


def test_more_is_better_where_the_metric_says_so() -> None:
    documents = [evaluation({LOSS: 2.0}), evaluation({LOSS: 1.0})]
    for one in documents:
        one["lower_is_better"]["loss"] = False
    assert rows_of(documents)[0].best == 0


def test_a_difference_smaller_than_its_interval_may_be_chance() -> None:
    one, other = evaluation({LOSS: 2.0}, spread=0.1), evaluation({LOSS: 2.01}, spread=-0.1)
    (found,) = rows_of([one, other])[0].differences
    assert found is not None
    assert found.real is False


def test_a_metric_that_one_run_has_not_is_no_reason_to_leave_the_others_out() -> None:
    loss, frechet = rows_of([evaluation({LOSS: 2.0}), evaluation({LOSS: 1.0, FRECHET: 3.0})])
    assert loss.best == 1
    assert (frechet.values, frechet.best, frechet.differences) == ((None, 3.0), None, (None,))


def test_a_value_that_was_not_finite_is_not_there() -> None:
    first, second = evaluation({LOSS: 2.0}), evaluation({LOSS: 1.0})
    del first["values"]["loss"], first["intervals"]["loss"]
    (row,) = rows_of([first, second])
    assert (row.values, row.intervals[0], row.best, row.differences) == ((None, 1.0), None, None, (None,))


@pytest.mark.parametrize(
    ("metric", "change", "reason"),
    [
        (REPEATED, {"metrics": [{"name": "repeated", "type": "RepeatedNgrams", "n": 3}]}, "other settings"),
        (FRECHET, {"extractor": {"type": "Network", "name": "a", "sha256": "1"}}, "other extractors"),
        (FRECHET, {"reference": {"split": "Validation", "images": 9, "data": "d"}}, "other real images"),
        (FRECHET, {"request": {"count": 7}}, "other numbers of samples"),
        (REPEATED, {"request": {"count": 7}}, "other numbers of samples"),
        (REPEATED, {"request": {"count": 100, "max_tokens": 9}}, "texts of other lengths"),
        (REPEATED, {"data": "else"}, "other data"),
        (LOSS, {"data": "else"}, "other data"),
    ],
)
def test_what_does_not_compare_is_told_and_has_no_best(
    metric: tuple[str, str], change: dict[str, Any], reason: str
) -> None:
    (row,) = rows_of([evaluation({metric: 1.0}), evaluation({metric: 2.0}) | change])
    assert reason in row.not_comparable
    assert row.best is None
    assert row.differences == (None,)
    assert row.values == (1.0, 2.0)


def test_images_compare_by_what_they_are_compared_with_and_not_by_what_the_model_learned_from() -> None:
    (row,) = rows_of([evaluation({FRECHET: 1.0}), evaluation({FRECHET: 2.0}) | {"data": "else"}])
    assert row.not_comparable == ""


def test_intervals_come_back_as_they_were_kept() -> None:
    kept = jackknife(1.0, [1.0 + number / 100 for number in range(GROUPS)])
    assert kept is not None
    document = evaluation({LOSS: 1.0})
    document["intervals"]["loss"] = asdict(kept) | {"without": list(kept.without)}
    assert rows_of([document])[0].intervals == (kept,)
