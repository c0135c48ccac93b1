"""Plots of points and lines, and parallel coordinates."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.report.axis import category_axis, linear_axis
from raygen.report.chart import HEIGHT
from raygen.report.parallel import LANE, LEVELS, TALL, Scale, draw_parallel
from raygen.report.plot import MAX_HINTS, Bundle, Cloud, Hint, draw_plot, thinned
from raygen.report.sweep import SweepPage, TrialSamples, Weight, Weights, render_sweep
from tests.budget import examples
from tests.unit.evaluation.reports import HOSTILE
from tests.unit.report.test_page import ANYTHING, check_inert

UNIT = linear_axis(0.0, 1.0), linear_axis(0.0, 1.0)
NUMBERS = st.floats(width=64)
SHAPES = ("disc", "large", "square", "ring", "stick", "tick")


def numbers(path: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?[\d.]+", path)]


@pytest.mark.parametrize(
    ("shape", "path"),
    [
        ("disc", "M500 55h0"),
        ("large", "M500 55h0"),
        ("square", "M500 55h0"),
        ("ring", "M500 55h0"),
        ("stick", "M500 51v8"),
        ("tick", "M500 55v-9"),
    ],
)
def test_a_point_stands_where_its_values_are(shape: str, path: str) -> None:
    plot = draw_plot("a", "b", UNIT, clouds=[Cloud("c", shape, 0, [(0.5, 0.75)])])  # type: ignore[arg-type]
    assert [one.path for one in plot.clouds] == [path]


def test_lines_go_from_point_to_point_or_in_steps_and_have_marks_at_their_ends() -> None:
    points = [(0.0, 1.0), (0.5, 0.5), (1.0, 0.0)]
    plot = draw_plot(
        "a",
        "b",
        UNIT,
        [
            Bundle("straight", "line", 0, [points], ends="square"),
            Bundle("steps", "faint", 1, [points], stepped=True),
        ],
    )
    assert [one.path for one in plot.bundles] == ["M0 0L500 110L1000 220", "M0 0H500V110H1000V220"]
    assert [(one.name, one.look, one.path) for one in plot.clouds] == [("", "square", "M1000 220h0")]


def test_what_lies_outside_is_counted_and_what_is_empty_is_left_out() -> None:
    clouds = [Cloud("out", "disc", 0, [(2.0, 0.5), (0.5, math.nan)]), Cloud("in", "disc", 1, [(0.5, 0.5)])]
    plot = draw_plot("a", "b", UNIT, [Bundle("none", "line", 0, [[(math.inf, 0.0)]])], clouds, note="some")
    assert [one.name for one in plot.clouds] == ["in"]
    assert plot.bundles == ()
    assert plot.note == "some; 2 points outside the picture"


def test_hints_are_bounded_and_the_first_are_kept() -> None:
    hints = [Hint((2.0, 0.5), "outside"), *(Hint((0.5, 0.5), str(number)) for number in range(1000))]
    plot = draw_plot("a", "b", UNIT, clouds=[Cloud("c", "disc", 0, [(0.5, 0.5)])], hints=hints)
    assert [one.text for one in plot.hints] == [str(number) for number in range(MAX_HINTS)]
    assert (plot.hints[0].left, plot.hints[0].top) == (50.0, HEIGHT / 2)


def test_thinned_lines_keep_their_ends() -> None:
    points = [(float(number), 0.0) for number in range(1000)]
    kept = thinned(points, 10)
    assert (len(kept), kept[0], kept[-1]) == (10, points[0], points[-1])


@examples(80)
@given(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=20), st.sampled_from(SHAPES))
def test_no_point_leaves_the_picture(points: list[tuple[float, float]], shape: str) -> None:
    plot = draw_plot("a", "b", UNIT, clouds=[Cloud("c", shape, 0, points)])  # type: ignore[arg-type]
    for one in plot.clouds:
        for left, top, _ in (numbers(part) for part in one.path.split("M")[1:]):
            assert 0 <= left <= 1000
            assert -5 <= top <= HEIGHT


def test_categories_have_a_place_each_and_names_that_fit() -> None:
    axis = category_axis(["AdamW", "Muon"])
    assert [axis.share(value) for value, _ in axis.ticks] == [0.25, 0.75]
    many = category_axis([f"category {number}" for number in range(100)])
    assert len(many.ticks) == 12
    assert sum(len(text) for _, text in many.ticks) <= 60


def test_parallel_coordinates_put_the_best_last_and_on_top() -> None:
    scales = [Scale("a", "a", UNIT[0]), Scale("b", "b", UNIT[0])]
    lines = [[rank / 99, None if rank == 99 else 1.0] for rank in range(100)]
    drawn = draw_parallel("title", scales, lines, [rank / 100 for rank in range(100)], "summary", "note")
    assert [name for name, _, _ in drawn.levels] == [name for _, name in reversed(LEVELS)]
    assert [path.count("M") for _, _, path in drawn.levels] == [25, 25, 25, 20, 5]
    assert drawn.levels[-1][2].startswith(f"M250 {TALL}L750 0M")
    assert drawn.levels[0][2].endswith(f"L750 {TALL + LANE / 2:.0f}")
    assert drawn.lane


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_the_best_of_few_lines_has_the_colour_of_the_best(count: int) -> None:
    scales = [Scale("a", "a", UNIT[0]), Scale("b", "b", UNIT[0])]
    shares = [rank / count for rank in range(count)]
    drawn = draw_parallel("title", scales, [[0.0, 1.0]] * count, shares, "summary")
    assert drawn.levels[-1][1] == 0
    assert sum(path.count("M") for _, _, path in drawn.levels) == count
    assert not drawn.lane


def sweep_page(text: str) -> SweepPage:
    """A page in which every text is the same."""
    plot = draw_plot(
        text,
        text,
        (category_axis([text]), UNIT[1]),
        [Bundle(text, "line", 0, [[(0.0, 0.5)]])],
        [Cloud(text, "disc", 0, [(0.0, 0.5)])],
        [Hint((0.0, 0.5), text)],
        summary=text,
        note=text,
    )
    parallel = draw_parallel(
        text, [Scale(text, text, category_axis([text]))] * 2, [[0.0, None]], [0.0], text, text
    )
    row = {text: text, "number": 1.0}
    return SweepPage(
        title=text,
        subtitle=text,
        state=text,
        explanation=text,
        remedy=text,
        progress=2.0,
        facts=[(text, text)],
        best=[row],
        parameters=[row],
        history=[plot],
        coordinates=[parallel],
        importance=[Weights(text, 3, [Weight(text, text, 0.5, True), Weight(text, text, 0.5, False)])],
        method=text,
        unimportant=text,
        slices=[plot],
        curves=[plot],
        samples=[TrialSamples(text, missing=text)],
        failures=[row],
        trials=[row],
        template={text: text},
    )


@examples(40)
@given(ANYTHING)
def test_no_text_of_a_sweep_gets_out_of_its_place(text: str) -> None:
    check_inert(render_sweep(sweep_page(text)))


def test_a_hostile_sweep_changes_nothing_but_text() -> None:
    page = check_inert(render_sweep(sweep_page(HOSTILE)))
    assert "{{ 7 * 191 }}" in page.text
    assert str(7 * 191) not in page.text
    (progress,) = (one for one in page.all("svg") if one.get("class") == "progress")
    assert progress["aria-label"] == "100.0 % of the budget is used"
