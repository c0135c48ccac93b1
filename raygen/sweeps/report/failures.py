"""Why trials failed: each cause with its count, a message, and what to do."""

from __future__ import annotations

from collections.abc import Sequence

from raygen.report.page import Row
from raygen.spec.reasons import COUNTED, FINAL, NOTHING
from raygen.sweeps.directory import run_name
from raygen.sweeps.history import Trial

MESSAGE_CHARACTERS = 500

_REMEDIES = {
    "InvalidJob": "Narrow the parameters, or give one of them a condition (when), so that all their values make valid jobs together.",
    "NonFiniteMetric": "Narrow the parameters that let training diverge, mostly the learning rates; or have the template clip gradients.",
    "NoObjective": "Give the template evaluation.everySteps and the metrics of all objectives and constraints.",
    "WorkerLost": "See whether memory or a machine gives out: lower spec.concurrency, or the sizes that parameters allow.",
    "SystemExit": "Have the function of the objective return a number instead of leaving the process.",
    "MemoryError": "Lower spec.concurrency, or the sizes that parameters allow.",
}
"""What to do about the causes that only sweeps have; the others are those of any run."""


def failures_of(failed: Sequence[Trial]) -> list[Row]:
    """A row for each cause, the most frequent first."""
    causes: dict[str, list[Trial]] = {}
    for trial in failed:
        causes.setdefault(trial.reason, []).append(trial)
    ordered = sorted(causes.items(), key=lambda item: (-len(item[1]), item[0]))
    return [
        {
            "cause": cause,
            "trials": len(trials),
            "for example": f"trial {trials[-1].number}",
            "message": trials[-1].message[:MESSAGE_CHARACTERS],
            "what to do": remedy_for(cause, trials[-1].number),
        }
        for cause, trials in ordered
    ]


def remedy_for(cause: str, trial: int) -> str:
    """What to do about a cause, of which a trial is an example."""
    known = {**COUNTED, **FINAL}.get(cause)
    if cause in _REMEDIES:
        return _REMEDIES[cause]
    if known is not None and known.remedy != NOTHING:
        return known.remedy.replace("`", "")
    return (
        f"Read the report of its run, trials/{run_name(trial)}; raygen sweep best SWEEP --trial {trial} --as-job prints its job, to"
        " be trained alone."
    )
