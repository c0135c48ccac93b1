"""A sweep in short: what its status, its table and `summary.json` say."""

from __future__ import annotations

from collections import Counter
from typing import Any

from raygen.spec.sweep.sweep import Sweep
from raygen.sweeps.directory import run_name
from raygen.sweeps.history import WARM_START, History, Trial
from raygen.sweeps.policy import Policy

MOST_BEST = 16
"""Trials of a Pareto front that are named; all are counted."""


def summary_of(sweep: Sweep, history: History, policy: Policy, trials: str) -> dict[str, Any]:
    """How a sweep is, as JSON values.

    Args:
        sweep: The sweep.
        history: What is known of it.
        policy: Knows what it has cost.
        trials: Folder of its trials' runs.
    """
    best = history.best()
    counts = Counter(one.state for one in history.trials if one.source != WARM_START)
    causes = Counter(one.reason for one in history.trials if one.state == "Failed")
    document: dict[str, Any] = {
        "sweep": sweep.metadata.name,
        "objectives": [{"name": one.name, "goal": one.goal} for one in sweep.spec.objectives],
        "trials": len(history.trials) - history.known,
        "counts": dict(sorted(counts.items())),
        "failures": dict(sorted(causes.items())),
        "best": [described(one, history, trials) for one in best[:MOST_BEST]],
        "seconds": round(history.now, 3),
        "trialSeconds": round(history.seconds, 3),
        "steps": sum(max(one.step - one.parent_step, 0) for one in history.trials),
        "used": round(policy.share_used(history), 4),
    }
    if sweep.spec.budget.trials is not None:
        document["limit"] = sweep.spec.budget.trials
    if history.known:
        document["known"] = history.known
    if len(sweep.spec.objectives) > 1:
        document["front"] = len(best)
    cost = policy.cost(history)
    if cost is not None:
        document["cost"] = round(cost, 4)
    return document


def described(trial: Trial, history: History, trials: str) -> dict[str, Any]:
    """A trial as JSON values: its values and what it has come to."""
    step = next((step for step in reversed(trial.reports) if history.score(trial, step) is not None), None)
    line = history.lineage(trial)
    lineage = [{"trial": one.number, "fromStep": one.parent_step} for one in line] if len(line) > 1 else []
    return {
        "trial": trial.number,
        "values": dict(trial.values),
        "metrics": dict(trial.reports[step]) if step is not None else {},
        "step": step,
        "state": trial.state,
        "checkpoint": trial.step if trial.step and trial.state not in ("Running", "Failed") else None,
        "run": f"{trials}/{run_name(trial.number)}" if trial.source != WARM_START else None,
    } | ({"lineage": lineage} if lineage else {})
