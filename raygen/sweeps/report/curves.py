"""The learning curves of a sweep's trials as plots."""

from __future__ import annotations

from collections import Counter

from raygen.report.axis import linear_axis
from raygen.report.chart import spread
from raygen.report.plot import Bundle, Hint, Plot, Point, Stroke, draw_plot, thinned
from raygen.report.wording import label
from raygen.sweeps.history import Trial
from raygen.sweeps.report.marks import MARKS
from raygen.sweeps.report.view import KINDS, Kind, View

MOST_CURVES = 200
"""Trials of a plot where there is one objective; where there are several, half as many."""
CURVE_POINTS = 50
"""Points of a curve."""

_STROKES: dict[Kind, Stroke] = {
    "stopped early": "dashed",
    "failed": "dotted",
}
"""Lines of other kinds are whole, and thin."""


def curve_plots(view: View) -> list[Plot]:
    """Learning curves for each objective that was reported more than once."""
    plots = (_curves(view, objective) for objective in range(len(view.objectives)))
    return [plot for plot in plots if plot is not None]


def _curves(view: View, objective: int) -> Plot | None:
    name = view.objectives[objective].name
    kinds = [
        (one.trial, one.kind) for one in sorted(view.judged, key=lambda one: view.ranks[one.trial.number])
    ]
    kinds += [(trial, "failed") for trial in view.failed]
    curves = [(trial, kind, _course(trial, name)) for trial, kind in kinds]
    curves = [one for one in curves if one[2]]
    if not any(len(course) > 1 for _, _, course in curves):
        return None
    limit = MOST_CURVES if len(view.objectives) == 1 else MOST_CURVES // 2
    first, others = curves[: limit // 4], curves[limit // 4 :]
    chosen = first + [others[number] for number in spread(len(others), limit - len(first))]
    # Those that failed come last, so the first one is the best, if any is.
    best = next((one for one in chosen[:1] if one[1] != "failed"), None)
    rest = chosen if best is None else chosen[1:]
    points = [point for _, _, course in chosen for point in course]
    axes = (
        linear_axis(0, max(step for step, _ in points), whole=True),
        view.objective_axis(objective, [value for _, value in points]),
    )
    bundles = []
    for kind in KINDS:
        lines = [course for _, other, course in rest if other == kind]
        shape, tone = MARKS[kind]
        bundles.append(Bundle(kind, _STROKES.get(kind, "faint"), tone, lines, ends=shape))
    if best is not None:
        bundles.append(Bundle(f"the best, trial {best[0].number}", "line", 1, [best[2]], ends="large"))
    counted = Counter(kind for _, kind, _ in curves)
    counts = ", ".join(f"{counted[kind]:,} {kind}" for kind in KINDS if counted[kind])
    return draw_plot(
        f"{name} by step",
        "step",
        axes,
        bundles,
        (),
        [
            Hint(
                course[-1],
                f"trial {trial.number}, {kind}: {label(course[-1][1])} at step {course[-1][0]:,.0f}",
            )
            for trial, kind, course in chosen
        ],
        summary=f"{name} by step for {len(curves):,} trials: {counts}.",
        note=f"{len(chosen):,} of {len(curves):,} trials are drawn, the best {len(first):,} among them"
        if len(chosen) < len(curves)
        else "",
    )


def _course(trial: Trial, name: str) -> list[Point]:
    course = [(float(step), values[name]) for step, values in sorted(trial.reports.items()) if name in values]
    return thinned(course, CURVE_POINTS)
