#!/usr/bin/env bash
# ASHA never stops a trial whose loss is NaN.
#
# A rung's cutoff is compared with the result, and no comparison with NaN is true: the trial passes every rung and
# takes its slot until the last iteration, while sound trials are stopped.
# Versions: ray 2.60.0.
# Source: not documented; _Bracket.on_result in ray/tune/schedulers/async_hyperband.py.
# raygen: a guard ends a run whose loss is not finite (raygen/training/engine/guards.py), so that no scheduler has to.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages 'ray[tune]==2.60.0' numpy==2.4.6
look <<'PY'
import logging

from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, TrialScheduler
from verdict import verdict

logging.disable(logging.WARNING)
ITERATIONS = 27


def reached(loss):
    """How far a fifth trial gets beside four that end with losses of 1 to 4."""
    scheduler = ASHAScheduler(metric="loss", mode="min", max_t=ITERATIONS, grace_period=1, reduction_factor=3)
    last = 0
    for number, value in enumerate([1.0, 2.0, 3.0, 4.0, loss]):
        trial = Trial("function", trial_id=str(number), stub=True)
        scheduler.on_trial_add(None, trial)
        for last in range(1, ITERATIONS + 1):
            decision = scheduler.on_trial_result(None, trial, {"loss": value, "training_iteration": last})
            if decision == TrialScheduler.STOP:
                break
    return last


worst, nan = reached(1e9), reached(float("nan"))
verdict(
    expected=f"a trial of NaN is stopped like one with the worst loss, after {worst} of {ITERATIONS} iterations",
    seen=f"after {nan}",
    holds=worst == 1 and nan == ITERATIONS,
)
PY
