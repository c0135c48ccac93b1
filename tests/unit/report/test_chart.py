from __future__ import annotations

import math
import re
from random import Random
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.report.chart import HEIGHT, Chart, Curve, downsample, draw, smooth, spread

NUMBERS = st.floats(allow_nan=True, allow_infinity=True)
COURSES = st.lists(NUMBERS, max_size=60).map(lambda values: list(enumerate(values)))


def chart(*curves: Curve, resumed: tuple[int, ...] = ()) -> Chart:
    drawn = draw("Loss", "nats", curves, resumed)
    assert drawn is not None
    return drawn


def vertices(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML](\S+?) ([-\d.]+)", path)]


def test_nothing_to_draw_is_no_chart() -> None:
    assert draw("Loss", "", []) is None
    assert draw("Loss", "", [Curve("a", []), Curve("b", [(1, math.nan)])]) is None


def test_a_curve_runs_from_its_first_to_its_last_value() -> None:
    drawn = chart(Curve("a", [(0, 0.0), (5, 5.0), (10, 10.0)]))
    assert vertices(drawn.curves[0].path) == [(0, HEIGHT), (500, HEIGHT / 2), (1000, 0)]


def test_a_value_that_is_no_number_leaves_a_gap_and_is_told() -> None:
    drawn = chart(Curve("a", [(0, 1.0), (1, 2.0), (2, math.nan), (3, 2.0), (4, 1.0)]))
    assert drawn.curves[0].path.count("M") == 2
    assert drawn.note == "1 value not finite or too large"


def test_a_value_between_gaps_is_a_dot() -> None:
    drawn = chart(Curve("a", [(0, 1.0), (1, math.inf), (2, 2.0), (3, math.inf), (4, 1.0), (5, 1.0)]))
    assert [x for x, _ in drawn.curves[0].dots] == [0, 40]


def test_rare_extremes_do_not_flatten_the_rest() -> None:
    points = [(i, 1 + i % 2 + (1000.0 if i == 3 else 0)) for i in range(1000)]
    drawn = chart(Curve("a", points))
    heights = [y for _, y in vertices(drawn.curves[0].path)]
    assert max(heights) - sorted(heights)[2] > HEIGHT / 3
    assert drawn.note == "1 extreme value outside the picture"


def test_a_thin_curve_has_the_colour_of_the_curve_after_it() -> None:
    points = [(0, 1.0), (1, 2.0)]
    drawn = chart(Curve("raw", points, "thin"), Curve("mean", points), Curve("validation", points, "dots"))
    assert [curve.tone for curve in drawn.curves] == [0, 0, 1]


def test_a_resumed_attempt_is_marked_once_and_only_inside_the_chart() -> None:
    drawn = chart(Curve("a", [(0, 1.0), (100, 2.0)]), resumed=(25, 25, 400, -3))
    assert drawn.resumed == ((25, 25),)


def test_strips_cover_the_plot_and_say_the_values_of_all_curves() -> None:
    raw = [(i, float(i)) for i in range(1001)]
    drawn = chart(Curve("each step", raw, "thin"), Curve("validation", [(500, 7.0)], "dots"))
    assert drawn.strips[0].left == 0
    for left, right in zip(drawn.strips, drawn.strips[1:], strict=False):
        assert left.left + left.width == pytest.approx(right.left, abs=0.02)
    assert drawn.strips[-1].left + drawn.strips[-1].width == pytest.approx(100, abs=0.02)
    said = [strip.lines for strip in drawn.strips]
    assert ("step 500", "each step 500", "validation 7") in said


def test_the_summary_says_beginning_end_and_lowest() -> None:
    drawn = chart(Curve("validation", [(250, 3.0), (500, 1.5), (750, 2.0)], "dots"))
    assert drawn.summary == "Loss in nats: validation from 3 at step 250 to 2 at step 750, lowest 1.5."


def test_a_logarithmic_scale_needs_values_above_zero() -> None:
    points = [(0, 1.0), (1, 10.0), (2, 100.0)]
    logarithmic = draw("a", "", [Curve("a", points)], scale="log")
    linear = draw("a", "", [Curve("a", [*points, (3, 0.0)])], scale="log")
    assert logarithmic is not None
    assert linear is not None
    assert [y for _, y in vertices(logarithmic.curves[0].path)] == [HEIGHT, HEIGHT / 2, 0]
    assert [text for _, text in linear.y] == ["0", "25", "50", "75", "100"]


@given(st.lists(COURSES, max_size=4), st.sampled_from(["linear", "log"]), st.data())
def test_every_course_gives_a_chart_of_bounded_numbers(
    courses: list[list[tuple[int, float]]], scale: Literal["linear", "log"], data: st.DataObject
) -> None:
    styles = st.sampled_from(("thin", "line", "dots"))
    drawn = draw("a", "", [Curve("a", c, data.draw(styles)) for c in courses], (3, 7), scale=scale)
    if drawn is None:
        return
    assert not re.search("nan|inf", " ".join(curve.path for curve in drawn.curves))
    for curve in drawn.curves:
        assert all(0 <= x <= 1000 for x, _ in vertices(curve.path))
    for strip in drawn.strips:
        assert 0 <= strip.left <= 100
        assert strip.width >= 0


@given(st.integers(1, 3000), st.integers(4, 500), st.integers(0, 9))
def test_downsampling_keeps_ends_and_extremes(count: int, limit: int, seed: int) -> None:
    random = Random(seed)
    values = [(i, random.random()) for i in range(count)]
    kept = downsample(values, limit)
    assert len(kept) <= limit
    assert kept == sorted(set(kept))
    assert {values[0], values[-1]} <= set(kept)
    assert min(values, key=lambda p: p[1]) in kept
    assert max(values, key=lambda p: p[1]) in kept


def test_a_running_mean_has_less_noise_and_no_lag() -> None:
    noisy = [(i, i + (-1.0) ** i * 50) for i in range(2000)]
    smoothed = smooth(noisy)
    assert [step for step, _ in smoothed] == list(range(2000))
    assert all(abs(value - step) < 3 for step, value in smoothed[200:-200])


def test_a_running_mean_recovers_from_a_huge_value() -> None:
    smoothed = smooth([(i, 1e20 if i == 100 else 1.0) for i in range(10_000)])
    assert smoothed[-1][1] == pytest.approx(1.0)


def test_a_running_mean_leaves_out_what_is_no_number() -> None:
    assert smooth([(0, 1.0), (1, math.nan), (2, 3.0)]) == [(0, 1.0), (2, 3.0)]


@given(st.integers(0, 500), st.integers(1, 50))
def test_a_spread_is_bounded_and_has_both_ends(count: int, limit: int) -> None:
    chosen = spread(count, limit)
    assert len(chosen) == min(count, limit)
    if count and limit > 1:
        assert chosen[0] == 0
        assert chosen[-1] == count - 1
