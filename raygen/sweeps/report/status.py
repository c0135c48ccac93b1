"""How a sweep is by its log: its state, what it has used, and what it is made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from raygen.report.page import Cell, Figure
from raygen.report.wording import duration, label
from raygen.spec.sweep.parameters import Parameter
from raygen.sweeps.directory import run_name
from raygen.sweeps.history import WARM_START, Trial
from raygen.sweeps.policy import HOUR
from raygen.sweeps.record import SweepRecord
from raygen.sweeps.report.view import RESERVED, View, shown

MOST_VALUES = 12
"""Values of a Choice that are named."""


@dataclass(frozen=True)
class Status:
    """How a sweep is.

    Attributes:
        state: Running, Succeeded, Stopped or Failed.
        explanation: What that means, as sentences.
        remedy: What to do about it; empty if nothing.
    """

    state: str
    explanation: str
    remedy: str = ""


def status_of(record: SweepRecord) -> Status:
    """How a sweep is, as far as its log says: whether a driver is at work is not in it."""
    history, spec = record.history, record.sweep.spec
    begun = len(history.trials) - history.known
    see = (
        "Fix the causes, which stand below, and sweep under another name; or allow more with spec.failedTrials and"
        " spec.budget.trials, and the same command goes on."
    )
    if history.failed > spec.failed_trials:
        text = f"{history.failed:,} of {begun:,} trials have failed, and {spec.failed_trials:,} may."
        return Status("Failed", text, see)
    used_up = record.policy.used_up(history)
    over = used_up is not None or _nothing_follows(record, begun)
    if over and begun and history.failed == begun:
        return Status("Failed", f"All {begun:,} trials have failed.", see)
    if over:
        limit = spec.budget.trials
        reached = (
            f"all {limit:,} trials of the budget have begun" if limit is not None and begun >= limit else ""
        )
        trained = "all members of the population are trained" if spec.scheduler.has_population else ""
        why = used_up or reached or trained or "the space has no other values"
        return Status("Succeeded", f"It is over: {why}.")
    if history.running:
        text = f"By its log {history.running:,} trial{'s' * (history.running != 1)} train at the moment."
        return Status("Running", text, "If no driver is at work any more, the same command goes on.")
    return Status("Stopped", "It is not over, and nothing trains.", "Run the same command again; it goes on.")


def _nothing_follows(record: SweepRecord, begun: int) -> bool:
    history, limit = record.history, record.sweep.spec.budget.trials
    # A space without end has always another proposal, which may take long to be worked out.
    ends = record.space.is_listed or (limit is not None and begun >= limit)
    ends = ends or record.sweep.spec.scheduler.has_population
    return not history.running and ends and record.policy.next(history) is None


def budget_used(record: SweepRecord) -> list[tuple[str, float]]:
    """What the budget bounds: how much of it is used, in words, and as a share."""
    history, budget = record.history, record.sweep.spec.budget
    used = []
    if budget.trials is not None:
        begun = len(history.trials) - history.known
        used.append((f"{begun:,} of {budget.trials:,} trials", begun / budget.trials))
    if budget.hours is not None:
        hours = history.now / HOUR
        used.append((f"{hours:.3g} of {budget.hours:g} hours", hours / budget.hours))
    if budget.gpu_hours is not None:
        hours = history.seconds / HOUR * record.sweep.spec.gpus_per_trial
        used.append((f"{hours:.3g} of {budget.gpu_hours:g} GPU-hours", hours / budget.gpu_hours))
    cost = record.policy.cost(history)
    if budget.cost is not None and cost is not None:
        used.append((f"{cost:.4g} of {budget.cost.limit:g} in money", cost / budget.cost.limit))
    return used


def facts_of(record: SweepRecord) -> Iterator[tuple[str, str]]:
    """What the sweep is."""
    spec = record.sweep.spec
    goals = (f"{one.name} ({one.goal.lower()})" for one in spec.objectives)
    yield f"Objective{'s' * (len(spec.objectives) > 1)}", ", ".join(goals)
    bounds = [
        f"{one.metric} at most {one.at_most:g}"
        if one.at_most is not None
        else f"{one.metric} at least {one.at_least:g}"
        for one in spec.constraints
    ]
    if bounds:
        yield f"Constraint{'s' * (len(bounds) > 1)}", ", ".join(bounds)
    yield "Search", f"{spec.search.type}, seed {spec.seed}"
    yield "Scheduler", spec.scheduler.type
    yield "Budget used", ", ".join(text for text, _ in budget_used(record))
    yield "Side by side", f"{spec.concurrency} trial{'s' * (spec.concurrency != 1)}"


def figures_of(view: View) -> Iterator[Figure]:
    """Headline numbers: what the best have come to, how many trials there are, and what they have taken."""
    history, best = view.history, view.best
    for objective in view.objectives if best else ():
        number = list(view.objectives).index(objective)
        top = min(best, key=lambda one: (history.score(one) or ())[number])
        score = (history.score(top) or ())[number]
        front = f", of {len(best)} on the front" if len(view.objectives) > 1 else ""
        yield Figure(objective.name, objective.sign * score, "", f"the best: trial {top.number}{front}")
    counts: dict[str, int] = {}
    for trial in history.trials:
        if trial.source != WARM_START:
            counts[trial.state] = counts.get(trial.state, 0) + 1
    states = ", ".join(f"{count:,} {state.lower()}" for state, count in sorted(counts.items()))
    yield Figure("trials", len(history.trials) - history.known, "", states)
    yield Figure("time at work", *_time(history.now), f"in all {duration(history.seconds)} of training")


def _time(seconds: float) -> tuple[float, str]:
    """Seconds as a number and its unit."""
    for size, unit in ((86400.0, "d"), (HOUR, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return round(seconds / size, 1), unit
    return round(seconds, 1), "s"


def best_rows(view: View) -> list[dict[str, Cell]]:
    """The best trials with all their metrics and their runs, by the first objective."""
    metrics = sorted({name for one in view.best for values in one.reports.values() for name in values})
    objectives = [one.name for one in view.objectives]
    names = [*objectives, *(name for name in metrics if name not in objectives)]
    return [{**_row(view, one, names), "run": f"trials/{run_name(one.number)}"} for one in view.best]


def trial_row(view: View, trial: Trial) -> dict[str, Cell]:
    """A trial as a row, with its objectives and values, and why it is where it is."""
    return {**_row(view, trial, [one.name for one in view.objectives]), "why": trial.reason}


def _row(view: View, trial: Trial, metrics: Sequence[str]) -> dict[str, Cell]:
    reported = view.record.trial(trial.number)["metrics"]
    row: dict[str, Cell] = {"trial": trial.number, "state": trial.state, "step": trial.step}
    row |= {name if name not in RESERVED else f"metric {name}": reported.get(name) for name in metrics}
    for path in view.domains:
        value = trial.values.get(path)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        row[view.names[path]] = value if is_number or path not in trial.values else shown(value)
    return row


def parameter_row(one: Parameter, name: str) -> dict[str, Cell]:
    """What a parameter may be."""
    condition = ""
    if one.when is not None:
        condition = (
            f"{one.when.path} is {' or '.join(shown(value) for value in one.when.values[:MOST_VALUES])}"
        )
    return {
        "parameter": name,
        "path": one.path,
        "type": one.type,
        "values": _values(one),
        "only while": condition,
    }


def _values(one: Parameter) -> str:
    if one.type == "Choice":
        listed = [shown(value) for value in (one.values or ())[:MOST_VALUES]]
        more = len(one.values or ()) - len(listed)
        return ", ".join(listed) + (f" and {more} more" if more > 0 else "")
    if one.type == "Linked":
        return f"{f'{one.factor:g} times ' if one.factor is not None else ''}{one.of}"
    low, high = (label(bound) if bound is not None else "" for bound in (one.low, one.high))
    step = f", in steps of {one.step:,}" if one.step is not None and one.step > 1 else ""
    return f"{low} to {high}{', logarithmic' if one.scale == 'Log' else ''}{step}"
