"""An evaluation between two steps: of the validation split, and of what the model makes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from raygen.data.protocol import Dataset
from raygen.evaluation.formulas import FORMULAS, QUALITIES
from raygen.evaluation.generated.evaluator import Evaluator
from raygen.evaluation.generated.making import Team
from raygen.evaluation.metrics import evaluate as evaluate_split
from raygen.models.protocol import Workers
from raygen.parallel.lanes import validation_batches
from raygen.spec import ResolvedJob, TrainingJob
from raygen.spec.families.metrics import GENERATED
from raygen.training.engine.agreement import Agreement
from raygen.training.engine.restore import averaged
from raygen.training.engine.state import State
from raygen.training.observers.events import Evaluated, Notice

if TYPE_CHECKING:
    from raygen.training.engine.loop import Session


def team_of(workers: Workers, device: torch.device, agreement: Agreement) -> Team:
    """The workers of a run as those that evaluate together; they give up where one is asked to stop."""
    return Team(workers, device, lambda: not agreement.stopping(), agreement.gather)


def make_evaluator(job: ResolvedJob, base: Path, data: Dataset, team: Team) -> Evaluator | None:
    """What measures what a job's model makes; None if the job asks for nothing of that. It looks at real images at once, before training
    reads beside it.

    Raises:
        InputError: the extractor or the images do not suit.
    """
    if not any(metric.type in GENERATED for metric in job.spec.evaluation.metrics):
        return None
    return Evaluator(job, base, data, team)


def evaluate(s: Session, state: State) -> bool | None:
    """Measures with the averaged weights, records, and says whether the metric that keepBest names got better; None if a worker
    gave up, since it is to stop.
    """
    s.recorder.flush()
    with averaged(s.updates), s.repeatable():
        values = _measured(s, state)
    s.recorder.paused()
    if values is None:
        return None
    s.observer.take(Evaluated(state.step, values))
    finite = {name: value for name, value in values.items() if math.isfinite(value)}
    if len(finite) < len(values):
        lost = ", ".join(f"{name} is {value}" for name, value in values.items() if name not in finite)
        s.observer.take(Notice(f"at step {state.step} {lost}: left out of the records and of what is best"))
    state.metrics, state.measured = finite, state.step
    s.recorder.evaluation(state.step, finite)
    s.agreement.report(state.step, finite)
    s.recorder.paused()
    return _note_gains(s.job, state, finite)


def _measured(s: Session, state: State) -> dict[str, float] | None:
    values: dict[str, float] = {}
    metrics = s.job.spec.evaluation.metrics
    if any(metric.type in FORMULAS for metric in metrics):
        found = evaluate_split(
            s.family,
            validation_batches(s.job, s.data, s.device, s.strategy),
            metrics,
            go_on=lambda: not s.agreement.stopping(),
            gather=s.agreement.gather,
        )
        if found is None:
            return None
        values |= found
    if s.generated is not None:
        made = s.generated.measure(
            s.family, team_of(s.workers, s.device, s.agreement), with_intervals=state.step == s.steps
        )
        if made is None:
            return None
        if s.workers.rank == 0 and s.keep_evaluation is not None:
            s.keep_evaluation(state.step, made)
        values |= made.values
    return values


def _note_gains(job: TrainingJob, state: State, values: Mapping[str, float]) -> bool:
    lower = {m.name: QUALITIES[m.type].lower_is_better for m in job.spec.evaluation.metrics}
    keep, early = job.spec.checkpoint.keep_best, job.spec.training.early_stopping
    better = False
    for name in lower:
        # A value that is not finite is no gain.
        value = values.get(name)
        gain = 0.0 if value is None else _gain(value, state.best.get(name), lower=lower[name])
        if early is not None and name == early.metric:
            state.without_gain = 0 if gain > early.min_delta else state.without_gain + 1
        if gain > 0 and value is not None:
            state.best[name] = value
            if keep is not None and name == keep.metric:
                better = True
    return better


def _gain(value: float, best: float | None, *, lower: bool) -> float:
    if best is None:
        return float("inf")
    return best - value if lower else value - best
