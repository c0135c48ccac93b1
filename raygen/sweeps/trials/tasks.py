"""What a trial is given: its job, what it may begin from, and what judges it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

from raygen.sweeps.directory import SweepDirectory, run_name
from raygen.sweeps.history import History, Trial
from raygen.sweeps.policy import Policy
from raygen.sweeps.trials.protocol import Ancestor, Judge, TrialTask


def task_of(
    policy: Policy,
    history: History,
    number: int,
    until: int | None,
    cores: int,
    base: Path,
    directory: SweepDirectory,
) -> TrialTask:
    """A trial that is to train.

    Args:
        policy: Knows its job.
        history: What is known.
        number: The trial's.
        until: The step at which it comes back; None: at its end.
        cores: Of each of its workers.
        base: Folder that relative source paths start from.
        directory: Of the sweep.
    """
    trial = history.trials[number]
    return TrialTask(
        trial=number,
        until=until,
        job=trial_job(policy, history, trial, cores),
        base=str(base),
        runs=directory.trials,
        run=run_name(number),
        cores=cores,
        ancestors=ancestors_of(history, trial),
        functions={
            one.name: Judge(one.entry_point, one.timeout_seconds)
            for one in policy.sweep.spec.objectives
            if one.entry_point is not None
        },
    )


def ancestors_of(history: History, trial: Trial) -> tuple[Ancestor, ...]:
    """The runs whose checkpoints a trial may go on from, and which of them; the nearest first."""
    line = history.lineage(trial)
    pairs = ((one, after.parent_step) for one, after in pairwise(line))
    return tuple(Ancestor(run_name(one.number), one.parent_step, until) for one, until in [*pairs][::-1])


def trial_job(policy: Policy, history: History, trial: Trial, cores: int) -> dict[str, Any]:
    """The job of a trial, as JSON values: the template with its values, which may change with those that it took over from others,
    and with the cores that it has, which decide how sums are rounded.
    """
    document = policy.document(history, trial, run_name(trial.number))
    document["spec"].setdefault("scale", {})["cpusPerWorker"] = cores
    return document
