"""Gathers what the page of a sweep shows, and writes it: the directory of a sweep has it as report.html."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from raygen.errors import OutputError, RaygenError
from raygen.report.gather import samples_of
from raygen.report.sweep import SweepPage, TrialSamples, Weights, render_sweep
from raygen.run.directory import REPORT, RunDirectory
from raygen.storage import open_storage
from raygen.sweeps.directory import run_name
from raygen.sweeps.history import WARM_START, Trial
from raygen.sweeps.record import SweepRecord
from raygen.sweeps.report.curves import curve_plots
from raygen.sweeps.report.failures import failures_of
from raygen.sweeps.report.history import history_plots
from raygen.sweeps.report.importance import METHOD, importance_of
from raygen.sweeps.report.parameters import coordinate_plots, slice_plots
from raygen.sweeps.report.status import (
    best_rows,
    budget_used,
    facts_of,
    figures_of,
    parameter_row,
    status_of,
    trial_row,
)
from raygen.sweeps.report.view import View


def write_report(record: SweepRecord, target: Path | None = None) -> str:
    """Writes the page of a sweep; returns where it is.

    Args:
        record: The sweep.
        target: A file to write instead of report.html in the sweep's directory.

    Raises:
        OutputError: it cannot be written.
    """
    content = render_sweep(gather(record)).encode("utf-8", "replace")
    if target is None:
        record.directory.storage.write(REPORT, content)
        return f"{record.directory.uri.rstrip('/')}/{REPORT}"
    try:
        target.write_bytes(content)
    except OSError as error:
        raise OutputError(
            f"the report cannot be written: {error.strerror or error}",
            where=str(target),
            remedy="Give a file in a folder that exists and may be written.",
        ) from error
    return str(target)


def gather(record: SweepRecord) -> SweepPage:
    """What the page shows. It depends on the sweep's log, and on the samples of the best trials' runs."""
    view = View(record)
    spec, status = record.sweep.spec, status_of(record)
    used = [share for _, share in budget_used(record)]
    weights, unimportant = importance_of(view)
    order = list(_order(view, weights))
    columns = {one.path: view.names[one.path] for one in spec.parameters}
    others = (one for one in view.ordered if one.source != WARM_START)
    return SweepPage(
        title=record.sweep.metadata.name,
        subtitle=_subtitle(record),
        state=status.state,
        explanation=status.explanation,
        remedy=status.remedy,
        progress=max(used, default=None),
        facts=list(facts_of(record)),
        figures=list(figures_of(view)),
        best=best_rows(view),
        parameters=[parameter_row(one, columns[one.path]) for one in spec.parameters],
        history=history_plots(view),
        coordinates=coordinate_plots(view, order),
        importance=weights,
        method=METHOD,
        unimportant=unimportant,
        slices=slice_plots(view, order),
        curves=curve_plots(view),
        samples=list(_samples(view)),
        failures=failures_of(view.failed),
        trials=[trial_row(view, one) for one in others],
        template=record.sweep.model_dump(mode="json", exclude_unset=True, by_alias=True)["spec"]["template"],
    )


def _subtitle(record: SweepRecord) -> str:
    spec = record.sweep.spec
    count = len(spec.parameters)
    return (
        f"{spec.template.spec.model.type}, {count} parameter{'s' * (count != 1)}, {spec.search.type} with"
        f" {spec.scheduler.type}"
    )


def _order(view: View, weights: Sequence[Weights]) -> Iterator[tuple[int, str]]:
    """Objectives' numbers and paths, the most important parameters of each objective first."""
    by_name = {one.objective: [weight.title for weight in one.weights] for one in weights}
    for number, objective in enumerate(view.objectives):
        paths = [path for path in by_name.get(objective.name, ()) if path in view.domains]
        for path in dict.fromkeys([*paths, *view.domains]):
            yield number, path


def _samples(view: View) -> Iterator[TrialSamples]:
    """Samples of the best trial; of several objectives those of the best in each."""
    best = view.best
    chosen: dict[int, tuple[Trial, list[str]]] = {}
    for number, objective in enumerate(view.objectives if best else ()):
        top = min(best, key=lambda one: ((view.history.score(one) or ())[number], one.number))
        chosen.setdefault(top.number, (top, []))[1].append(objective.name)
    for trial, names in chosen.values():
        title = f"Trial {trial.number}, the best in {' and '.join(names)}"
        try:
            run = RunDirectory(open_storage(view.record.directory.trials), run_name(trial.number))
            samples = samples_of(run)
        except (RaygenError, ValueError, KeyError):
            # The page is that of the sweep, which does not depend on what became of the files of a run.
            yield TrialSamples(title, missing="The samples of its run cannot be read.")
            continue
        missing = "" if samples else "Its run has none: evaluation.samples of the template has samples made."
        yield TrialSamples(title, samples, missing)
