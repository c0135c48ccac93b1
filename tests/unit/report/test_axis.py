from __future__ import annotations

import math

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from raygen.report.axis import linear_axis, logarithmic_axis

FINITE = st.floats(-1e100, 1e100)
POSITIVE = st.floats(1e-100, 1e100)


def labels(low: float, high: float, **options: bool) -> list[str]:
    return [text for _, text in linear_axis(low, high, **options).ticks]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 2000, ["0", "500", "1,000", "1,500", "2,000"]),
        (0, 100_000, ["0", "25k", "50k", "75k", "100k"]),
        (0, 3_000_000, ["0", "1M", "2M", "3M"]),
        (0, 1e-3, ["0", "0.00025", "0.00050", "0.00075", "0.00100"]),
        (0, 4e-4, ["0", "1e-4", "2e-4", "3e-4", "4e-4"]),
        (1.1, 4.2, ["2", "3", "4"]),
        (-1, 1, ["-1.0", "-0.5", "0", "0.5", "1.0"]),
    ],
)
def test_marks_are_round_and_spelled_alike(low: float, high: float, expected: list[str]) -> None:
    assert labels(low, high) == expected


def test_a_widened_axis_ends_at_marks() -> None:
    axis = linear_axis(1.1, 4.2, widen=True)
    assert (axis.low, axis.high) == (1, 5)
    assert [value for value, _ in axis.ticks] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("high", [1, 2, 7, 10, 13, 99])
def test_marks_of_steps_are_whole(high: int) -> None:
    assert all(value == int(value) for value, _ in linear_axis(0, high, whole=True).ticks)


def test_a_constant_has_room_around_it() -> None:
    axis = linear_axis(3.0, 3.0, widen=True)
    assert axis.low < 3.0 < axis.high


@given(FINITE, FINITE, st.booleans())
def test_an_axis_spans_its_values_with_few_marks(a: float, b: float, widen: bool) -> None:
    low, high = min(a, b), max(a, b)
    axis = linear_axis(low, high, widen=widen)
    assert axis.low <= low or math.isclose(axis.low, low, rel_tol=1e-6)
    assert axis.high >= high or math.isclose(axis.high, high, rel_tol=1e-6)
    assert 1 <= len(axis.ticks) <= 8
    assert all(-1e-6 <= axis.share(value) <= 1 + 1e-6 for value, _ in axis.ticks)


@example(0.0, 5e-324)
@given(FINITE, FINITE)
def test_marks_of_an_axis_have_different_labels(a: float, b: float) -> None:
    assume(abs(a - b) > 1e-3 * max(abs(a), abs(b)))
    texts = labels(min(a, b), max(a, b))
    assert len(set(texts)) == len(texts)


@given(POSITIVE, POSITIVE)
def test_a_logarithmic_axis_spans_its_values_with_few_marks(a: float, b: float) -> None:
    axis = logarithmic_axis(min(a, b), max(a, b))
    assert -1e-6 <= axis.share(min(a, b)) <= axis.share(max(a, b)) <= 1 + 1e-6
    assert 2 <= len(axis.ticks) <= 9
    assert all(-1e-6 <= axis.share(value) <= 1 + 1e-6 for value, _ in axis.ticks)


def test_equal_factors_are_equally_far_apart_on_a_logarithmic_axis() -> None:
    axis = logarithmic_axis(1, 100)
    assert axis.share(10) == pytest.approx(0.5)
    assert [text for _, text in axis.ticks] == ["1", "2", "5", "10", "20", "50", "100"]
