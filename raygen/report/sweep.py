"""The page of a sweep: one HTML file that needs nothing else and can do nothing, as the report of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raygen.report.chart import HEIGHT
from raygen.report.page import (
    MAX_PICTURES_BYTES,
    MAX_ROWS,
    MAX_SAMPLES,
    STATES,
    Figure,
    Row,
    SampleSet,
    groups,
    page_template,
    shown_sets,
)
from raygen.report.parallel import LANE, TALL, Parallel
from raygen.report.plot import TICK, Plot


@dataclass(frozen=True)
class Weight:
    """How much a parameter matters.

    Attributes:
        name: Of the parameter.
        title: What shows while a pointer is over the name.
        share: Of the whole, from 0 to 1.
        told_apart: Whether it is more than chance would give.
    """

    name: str
    title: str
    share: float
    told_apart: bool


@dataclass(frozen=True)
class Weights:
    """How much each parameter matters for one objective.

    Attributes:
        objective: The objective.
        trials: How many trials this rests on.
        weights: The greatest first.
    """

    objective: str
    trials: int
    weights: Sequence[Weight]


@dataclass(frozen=True)
class TrialSamples:
    """What the model of one trial made.

    Attributes:
        title: Which trial.
        samples: By step.
        missing: Why there are none; empty if there are some.
    """

    title: str
    samples: Sequence[SampleSet] = ()
    missing: str = ""


@dataclass(frozen=True)
class SweepPage:
    """Everything that the page of a sweep shows.

    Attributes:
        title: The sweep's name.
        subtitle: What it tries, in a few words.
        state: Running, Succeeded, Stopped or Failed.
        explanation: What the state means.
        remedy: What to do about it; empty if nothing.
        progress: Share of the budget that is used, from 0 to 1; None without one.
        facts: Names and values.
        figures: Headline numbers.
        best: Rows of a table, by column.
        parameters: The same.
        history: Trials in the order in which they came.
        coordinates: Parameters and objectives of many trials at once.
        importance: For each objective; those without trials enough are left out.
        method: How importance was found.
        unimportant: Why there is nothing about importance; empty if there is.
        slices: Parameters one by one.
        curves: Learning curves.
        samples: Of the best trials.
        failures: Rows of a table, by column.
        trials: The same, the best first.
        template: The job that trials are made of.
    """

    title: str
    subtitle: str
    state: str
    explanation: str
    remedy: str = ""
    progress: float | None = None
    facts: Sequence[tuple[str, str]] = ()
    figures: Sequence[Figure] = ()
    best: Sequence[Row] = ()
    parameters: Sequence[Row] = ()
    history: Sequence[Plot] = ()
    coordinates: Sequence[Parallel] = ()
    importance: Sequence[Weights] = ()
    method: str = ""
    unimportant: str = ""
    slices: Sequence[Plot] = ()
    curves: Sequence[Plot] = ()
    samples: Sequence[TrialSamples] = ()
    failures: Sequence[Row] = ()
    trials: Sequence[Row] = ()
    template: Mapping[str, Any] | None = None


def render_sweep(page: SweepPage) -> str:
    """The page as HTML; its characters can all be written as UTF-8."""
    style, style_hash, template = page_template("sweep.html.jinja")
    limit = MAX_PICTURES_BYTES // max(len(page.samples), 1)
    return template.render(
        page=page,
        style=style,
        style_hash=style_hash,
        state=page.state if page.state in STATES else "Running",
        progress=None if page.progress is None else round(100 * min(max(page.progress, 0.0), 1.0), 1),
        height=HEIGHT,
        tall=TALL,
        lane=LANE,
        tick=TICK,
        sets=[shown_sets(one.samples, limit) for one in page.samples],
        max_samples=MAX_SAMPLES,
        max_rows=MAX_ROWS,
        job=groups(page.template or {}),
    )
