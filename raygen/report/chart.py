"""Line charts as geometry that a template turns into inline SVG; no script, nothing from outside.

Across, places are shares of the plot's width in per cent, so that one drawing fits a phone and a screen
while its text keeps its size; down, they are pixels from the plot's upper edge.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Literal

from raygen.report.axis import Axis, linear_axis, logarithmic_axis
from raygen.report.wording import label

HEIGHT = 220
"""Height of the plot in pixels."""
MAX_POINTS = 500
MAX_DOTS = 200
STRIPS = 60
TONES = 4
LARGEST = 1e100
"""Values beyond it in size are not drawn: sums of them would overflow."""

Points = Sequence[tuple[int, float]]


@dataclass(frozen=True)
class Curve:
    """One curve.

    Attributes:
        name: For the legend.
        points: (step, value), by step.
        style: `thin` for raw values, `line` for smoothed ones, `dots` for few values. A thin curve has
            the colour of the curve after it.
    """

    name: str
    points: Points
    style: Literal["thin", "line", "dots"] = "line"


@dataclass(frozen=True)
class Drawn:
    """A curve in the plot.

    Attributes:
        name: For the legend.
        style: As in `Curve`.
        tone: Number of its colour, below `TONES`.
        path: SVG path, 0 to 1000 across and 0 to `HEIGHT` down; broken where values are no numbers.
        dots: Places of single values: per cent across, pixels down.
    """

    name: str
    style: str
    tone: int
    path: str
    dots: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Strip:
    """A part of the plot that shows its values while a pointer is over it.

    Attributes:
        left, width: Its place across, in per cent.
        place: Where its step is, in per cent.
        lines: What to show: the step, then one line for each curve.
        marks: The values' places: tone and pixels down.
        box: Left edge and width of the box around the lines, in pixels from `place`.
    """

    left: float
    width: float
    place: float
    lines: tuple[str, ...]
    marks: tuple[tuple[int, float], ...]
    box: tuple[int, int]


@dataclass(frozen=True)
class Chart:
    """A chart, ready for the template.

    Attributes:
        title: What it shows.
        unit: Of the values.
        curves: In the order of the legend.
        x: Marks across: per cent and label.
        y: Marks down: pixels and label.
        resumed: Where a later attempt went on: per cent and step.
        strips: From left to right.
        summary: One sentence for those who cannot see the chart.
        note: What is not drawn; empty if everything is.
    """

    title: str
    unit: str
    curves: tuple[Drawn, ...]
    x: tuple[tuple[float, str], ...]
    y: tuple[tuple[float, str], ...]
    resumed: tuple[tuple[float, int], ...]
    strips: tuple[Strip, ...]
    summary: str
    note: str


@dataclass(frozen=True)
class _Plane:
    """Turns steps and values into places."""

    x: Axis
    y: Axis

    def across(self, step: float) -> float:
        return 100 * self.x.share(step)

    def down(self, value: float) -> float:
        return HEIGHT * (1 - self.y.share(value))


def draw(
    title: str,
    unit: str,
    curves: Sequence[Curve],
    resumed: Iterable[int] = (),
    *,
    scale: Literal["linear", "log"] = "linear",
) -> Chart | None:
    """A chart of these curves, or None if they hold no value that can be drawn.

    Args:
        title: What it shows.
        unit: Of the values.
        curves: Values that are not finite leave a gap.
        resumed: Steps at which a later attempt went on.
        scale: Of the values; zero or less makes a logarithmic scale linear.
    """
    values = [value for curve in curves for _, value in curve.points if _drawable(value)]
    steps = [step for curve in curves for step, value in curve.points if _drawable(value)]
    if not values:
        return None
    low, high = central_range(values)
    logarithmic = scale == "log" and min(values) > 0
    plane = _Plane(
        x=linear_axis(min(0, *steps), max(steps), whole=True),
        y=logarithmic_axis(low, high) if logarithmic else linear_axis(low, high, widen=True),
    )
    tones = _tones(curves)
    return Chart(
        title=title,
        unit=unit,
        curves=tuple(_drawn(curve, tone, plane) for curve, tone in zip(curves, tones, strict=True)),
        x=tuple((round(plane.across(value), 2), text) for value, text in plane.x.ticks),
        y=tuple((round(plane.down(value), 1), text) for value, text in plane.y.ticks),
        resumed=tuple(
            (round(plane.across(step), 2), step)
            for step in sorted(set(resumed))
            if plane.x.low <= step <= plane.x.high
        ),
        strips=_strips(curves, tones, plane),
        summary=_summary(title, unit, curves),
        note=_note(curves, plane),
    )


def central_range(values: Sequence[float]) -> tuple[float, float]:
    """Lowest and highest value; of a long series without its rarest extremes, where these would flatten it."""
    ordered = sorted(values)
    low, high = ordered[0], ordered[-1]
    cut = len(ordered) // 100
    inner_low, inner_high = ordered[cut], ordered[-1 - cut]
    flattened = high - low > 5 * (inner_high - inner_low) > 0
    return (inner_low, inner_high) if flattened else (low, high)


def downsample(points: Points, limit: int = MAX_POINTS) -> list[tuple[int, float]]:
    """At most `limit` points of a series: the lowest and highest of each of equal parts, and both ends."""
    if len(points) <= limit:
        return list(points)
    parts = max((limit - 2) // 2, 1)
    kept = {0, len(points) - 1}
    for part in range(parts):
        inside = range(part * len(points) // parts, (part + 1) * len(points) // parts)
        kept.add(min(inside, key=lambda i: points[i][1]))
        kept.add(max(inside, key=lambda i: points[i][1]))
    return [points[i] for i in sorted(kept)]


def smooth(points: Points) -> list[tuple[int, float]]:
    """A running mean over about a fiftieth of the series, so that the course shows through the noise.

    It looks both ways, so that it does not lag behind a steep course. Values that are not finite are left out.
    """
    finite = [(step, value) for step, value in points if _drawable(value)]
    values = [value for _, value in finite]
    keep = 1 - 1 / max(len(values) / 100, 1)
    before, after = _faded(values, keep), _faded(values[::-1], keep)[::-1]
    return [
        (step, (b + a - value) / (w + v - 1))
        for (step, value), (b, w), (a, v) in zip(finite, before, after, strict=True)
    ]


def spread(count: int, limit: int) -> list[int]:
    """At most `limit` of the numbers below `count`, evenly spread, both ends among them."""
    chosen = min(limit, count)
    return sorted({round(i * (count - 1) / max(chosen - 1, 1)) for i in range(chosen)})


def _faded(values: Sequence[float], keep: float) -> list[tuple[float, float]]:
    """Sum and weight of every value and those before it, whose weights fall by the factor `keep`."""
    sums, total, weight = [], 0.0, 0.0
    for value in values:
        total, weight = keep * total + value, keep * weight + 1
        sums.append((total, weight))
    return sums


def _drawable(value: float) -> bool:
    return math.isfinite(value) and abs(value) <= LARGEST


def _tones(curves: Sequence[Curve]) -> list[int]:
    tones, tone = [], 0
    for curve in curves:
        tones.append(tone % TONES)
        if curve.style != "thin":
            tone += 1
    return tones


def _drawn(curve: Curve, tone: int, plane: _Plane) -> Drawn:
    runs = [list(run) for drawn, run in groupby(curve.points, key=lambda p: _drawable(p[1])) if drawn]
    total = sum(map(len, runs))
    path, single = "", []
    for run in runs:
        limit = max(MAX_POINTS * len(run) // total, 4)
        kept = downsample(run, limit)
        path += "M" + "L".join(f"{10 * plane.across(s):.1f} {plane.down(v):.1f}" for s, v in kept)
        if len(run) == 1:
            single += run
    values = [point for run in runs for point in run] if curve.style == "dots" else single
    shown = [values[i] for i in spread(len(values), MAX_DOTS)]
    dots = ((round(plane.across(s), 2), round(plane.down(v), 1)) for s, v in shown)
    return Drawn(curve.name, curve.style, tone, path, tuple(dots))


def _strips(curves: Sequence[Curve], tones: Sequence[int], plane: _Plane) -> tuple[Strip, ...]:
    series = [[p for p in curve.points if _drawable(p[1])] for curve in curves]
    anchors: set[int] = set()
    for points in series:
        anchors.update(points[i][0] for i in spread(len(points), STRIPS))
    ordered = sorted(anchors)
    chosen = [ordered[i] for i in spread(len(ordered), 2 * STRIPS)]
    edges = [plane.x.low, *((a + b) / 2 for a, b in pairwise(chosen)), plane.x.high]
    return tuple(
        _strip(step, (left, right), list(zip(curves, tones, series, strict=True)), plane)
        for step, (left, right) in zip(chosen, pairwise(edges), strict=True)
    )


def _strip(
    step: int,
    edges: tuple[float, float],
    series: Sequence[tuple[Curve, int, Points]],
    plane: _Plane,
) -> Strip:
    lines, marks = [f"step {step:,}"], []
    for curve, tone, points in series:
        found = _nearest(points, step)
        if found is not None and edges[0] <= found[0] <= edges[1]:
            lines.append(f"{curve.name[:40]} {label(found[1])}")
            marks.append((tone, round(plane.down(found[1]), 1)))
    place = plane.across(step)
    width = 20 + 7 * max(map(len, lines))
    return Strip(
        left=round(plane.across(edges[0]), 2),
        width=round(plane.across(edges[1]) - plane.across(edges[0]), 2),
        place=round(place, 2),
        lines=tuple(lines),
        marks=tuple(marks),
        box=(10 if place < 50 else -10 - width, width),
    )


def _nearest(points: Points, step: int) -> tuple[int, float] | None:
    after = bisect_left(points, step, key=itemgetter(0))
    around = points[max(after - 1, 0) : after + 1]
    return min(around, key=lambda p: abs(p[0] - step), default=None)


def _summary(title: str, unit: str, curves: Sequence[Curve]) -> str:
    parts = []
    for curve in curves:
        finite = [point for point in curve.points if _drawable(point[1])]
        if finite:
            (first, start), (last, end) = finite[0], finite[-1]
            lowest = min(value for _, value in finite)
            parts.append(
                f"{curve.name} from {label(start)} at step {first:,} to {label(end)} at step {last:,},"
                f" lowest {label(lowest)}"
            )
    return f"{title}{f' in {unit}' if unit else ''}: {'; '.join(parts)}."


def _note(curves: Sequence[Curve], plane: _Plane) -> str:
    values = [value for curve in curves for _, value in curve.points]
    broken = sum(not _drawable(value) for value in values)
    outside = sum(_drawable(value) and not plane.y.low <= value <= plane.y.high for value in values)
    parts = []
    if outside:
        parts.append(f"{outside:,} extreme value{'s' * (outside != 1)} outside the picture")
    if broken:
        parts.append(f"{broken:,} value{'s' * (broken != 1)} not finite or too large")
    return "; ".join(parts)
