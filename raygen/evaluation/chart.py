"""Line charts as inline SVG, drawn here, so that a report needs no script and nothing from outside."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 720, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 14, 40
MAX_POINTS = 500
TICKS = 5

Points = Sequence[tuple[int, float]]


@dataclass(frozen=True)
class Curve:
    """One curve.

    Attributes:
        name: For the legend.
        points: (step, value), by step.
        style: `thin` for raw values, `line` for smoothed ones, `dots` for few values.
    """

    name: str
    points: Points
    style: str = "line"


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: its place in the picture and its label."""

    place: float
    label: str


@dataclass(frozen=True)
class Drawn:
    """A curve in picture coordinates: an SVG path, its dots, and tooltips."""

    name: str
    style: str
    path: str
    dots: tuple[tuple[float, float, str], ...]


@dataclass(frozen=True)
class Chart:
    """A chart, ready for the template.

    Attributes:
        title: What it shows.
        unit: Of the values.
        curves: In picture coordinates.
        x_ticks, y_ticks: Axis marks.
        resumed: Places on the x axis where an attempt went on.
        summary: One sentence for those who cannot see the chart.
    """

    title: str
    unit: str
    curves: tuple[Drawn, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    resumed: tuple[float, ...]
    summary: str


def draw(title: str, unit: str, curves: Sequence[Curve], resumed: Sequence[int] = ()) -> Chart | None:
    """A chart of these curves, or None if there is nothing to draw.

    Args:
        title: What it shows.
        unit: Of the values.
        curves: Values that are not finite are left out.
        resumed: Steps at which an attempt went on.
    """
    finite = [
        Curve(c.name, [(step, value) for step, value in c.points if math.isfinite(value)], c.style) for c in curves
    ]
    finite = [c for c in finite if c.points]
    if not finite:
        return None
    steps = [step for c in finite for step, _ in c.points]
    values = _central([value for c in finite for _, value in c.points])
    x_low, x_high = min(steps), max(max(steps), min(steps) + 1)
    y_ticks = nice_ticks(min(values), max(values))
    y_low, y_high = y_ticks[0], y_ticks[-1]

    def x(step: float) -> float:
        return LEFT + (step - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        share = (min(max(value, y_low), y_high) - y_low) / (y_high - y_low)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def drawn(curve: Curve) -> Drawn:
        points = thin(curve.points, MAX_POINTS)
        path = "M" + "L".join(f"{x(step):.1f} {y(value):.1f}" for step, value in points)
        few = curve.style == "dots" or len(points) == 1
        dots = tuple(
            (round(x(s), 1), round(y(v), 1), f"{curve.name}, step {s:,}: {label(v)}") for s, v in points if few
        )
        return Drawn(curve.name, curve.style, path, dots)

    last = ", ".join(f"{c.name} {label(c.points[-1][1])} at step {c.points[-1][0]:,}" for c in finite)
    return Chart(
        title=title,
        unit=unit,
        curves=tuple(drawn(c) for c in finite),
        x_ticks=tuple(Tick(round(x(t), 1), f"{t:,.0f}") for t in nice_ticks(x_low, x_high) if x_low <= t <= x_high),
        y_ticks=tuple(Tick(round(y(t), 1), label(t)) for t in y_ticks),
        resumed=tuple(round(x(step), 1) for step in resumed if x_low <= step <= x_high),
        summary=f"{title}: {last}.",
    )


def _central(values: list[float]) -> list[float]:
    """Without the extremes of long series, which would flatten the rest of a chart."""
    if len(values) < 100:  # noqa: PLR2004
        return values
    ordered = sorted(values)
    cut = len(ordered) // 100
    return ordered[cut // 4 : len(ordered) - cut] or ordered


def nice_ticks(low: float, high: float) -> list[float]:
    """About five round numbers that span low and high."""
    if high - low < 1e-12 * max(abs(low), abs(high), 1e-300):
        margin = abs(high) * 0.05 or 1.0
        low, high = low - margin, high + margin
    raw = (high - low) / (TICKS - 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [n * step for n in range(first, last + 1)]


def label(value: float) -> str:
    """A number with four digits that count, with thousands separators or a power where they help."""
    if value == 0:
        return "0"
    if abs(value) >= 1000:  # noqa: PLR2004
        return f"{value:,.0f}"
    return f"{value:.4g}"


def thin(points: Points, limit: int) -> list[tuple[int, float]]:
    """At most `limit` points of a series: the lowest and highest of each of equal parts, and both ends."""
    if len(points) <= limit:
        return list(points)
    parts = max(limit // 2 - 1, 1)
    kept = {0, len(points) - 1}
    for part in range(parts):
        inside = range(part * len(points) // parts, (part + 1) * len(points) // parts)
        kept.add(min(inside, key=lambda i: points[i][1]))
        kept.add(max(inside, key=lambda i: points[i][1]))
    return [points[i] for i in sorted(kept)]


def smooth(points: Points) -> list[tuple[int, float]]:
    """A running mean over a fiftieth of the series, so that the course shows through the noise."""
    window = max(len(points) // 50, 1)
    result = []
    total = 0.0
    for i, (step, value) in enumerate(points):
        total += value
        if i >= window:
            total -= points[i - window][1]
        result.append((step, total / min(i + 1, window)))
    return result
