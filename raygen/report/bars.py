"""Histograms as geometry that a template turns into inline SVG, in the units of `raygen.report.chart`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from raygen.report.axis import linear_axis
from raygen.report.chart import HEIGHT, TONES, spread
from raygen.report.wording import label

MARKS = 9
"""Labels below the bars, at most."""
TALLEST = 5
"""A bar that is so many times as high as any other is cut off, so that others can be seen."""
GAP = 0.12
"""Share of a bar's place that is left free."""


@dataclass(frozen=True)
class Counts:
    """What one part of the data has in each bin.

    Attributes:
        name: For the legend.
        counts: (bins,).
    """

    name: str
    counts: Sequence[int]


@dataclass(frozen=True)
class Bar:
    """The bin of one part of the data.

    Attributes:
        left, width: Its place across, in per cent.
        top, height: Its place down, in pixels.
    """

    left: float
    width: float
    top: float
    height: float


@dataclass(frozen=True)
class DrawnCounts:
    """One part of the data in the plot.

    Attributes:
        name: For the legend.
        tone: Number of its colour.
        bars: Those of its bins that are not empty. The first part is drawn as bars, others as lines at their height.
    """

    name: str
    tone: int
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Bin:
    """What shows while a pointer is over a bin.

    Attributes:
        left, width: Its place across, in per cent.
        text: What is in it, a line for each part of the data.
    """

    left: float
    width: float
    text: str


@dataclass(frozen=True)
class Histogram:
    """A histogram, ready for the template.

    Attributes:
        title: What is counted.
        across: What stands below the bars.
        parts: In the order of the legend.
        x: Marks across: per cent and label.
        y: Marks down: pixels and label.
        bins: From left to right.
        summary: One sentence for those who cannot see it.
        note: What is not drawn to scale; empty if everything is.
    """

    title: str
    across: str
    parts: tuple[DrawnCounts, ...]
    x: tuple[tuple[float, str], ...]
    y: tuple[tuple[float, str], ...]
    bins: tuple[Bin, ...]
    summary: str
    note: str


def draw_histogram(
    title: str, across: str, starts: Sequence[int], end: int, parts: Sequence[Counts]
) -> Histogram | None:
    """Shares of the whole in bins of equal width, or None if nothing was counted.

    Args:
        title: What is counted.
        across: What the bins are of.
        starts: The least whole number of each bin: (bins,).
        end: The number after the last one of the last bin.
        parts: Parts of the data, each by its own whole, so that they compare.
    """
    parts = [part for part in parts if sum(part.counts)]
    if not parts:
        return None
    shares = [[100 * count / sum(part.counts) for count in part.counts] for part in parts]
    heights = sorted((share for part in shares for share in part), reverse=True)
    highest = [max(each) for each in zip(*shares, strict=True)]
    ordered = sorted(highest, reverse=True)
    cut = len(ordered) > 1 and ordered[0] > TALLEST * ordered[1] > 0
    axis = linear_axis(0.0, 1.25 * ordered[1] if cut else heights[0], widen=True)
    width = 100 / len(starts)
    spans = [_span(first, after) for first, after in pairwise([*starts, end])]

    def bar(number: int, share: float) -> Bar:
        height = HEIGHT * min(axis.share(share), 1.0)
        gap = width * GAP
        return Bar(
            round(number * width + gap / 2, 3),
            round(width - gap, 3),
            round(HEIGHT - height, 1),
            round(max(height, 0.5), 1),
        )

    drawn = tuple(
        DrawnCounts(part.name, tone % TONES, tuple(bar(n, share) for n, share in enumerate(own) if share))
        for tone, (part, own) in enumerate(zip(parts, shares, strict=True))
    )
    texts = [
        "\n".join(
            [
                f"{across} {span}",
                *(
                    f"{part.name} {part.counts[n]:,} ({own[n]:.2f} %)"
                    for part, own in zip(parts, shares, strict=True)
                ),
            ]
        )
        for n, span in enumerate(spans)
    ]
    tallest = highest.index(ordered[0])
    return Histogram(
        title=title,
        across=across,
        parts=drawn,
        x=tuple((round((n + 0.5) * width, 2), label(starts[n])) for n in spread(len(starts), MARKS)),
        y=tuple((round(HEIGHT * (1 - axis.share(value)), 1), f"{text} %") for value, text in axis.ticks),
        bins=tuple(Bin(round(n * width, 3), round(width, 3), text) for n, text in enumerate(texts)),
        summary=_summary(title, spans, parts),
        note=f"{across} {spans[tallest]}: {label(ordered[0])} %, cut off" if cut else "",
    )


def _span(first: int, after: int) -> str:
    return label(first) if after == first + 1 else f"{label(first)} to {label(after - 1)}"


def _summary(title: str, spans: Sequence[str], parts: Sequence[Counts]) -> str:
    said = []
    for part in parts:
        most = max(range(len(spans)), key=lambda n: part.counts[n])
        said.append(f"{part.name}: {sum(part.counts):,} counted, most of them at {spans[most]}")
    return f"{title}. {'; '.join(said)}."
