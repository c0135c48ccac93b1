"""The learning rate over the steps, as a share of its peak."""

from __future__ import annotations

import math

from raygen.spec import Optimizer, Schedule
from raygen.spec.job.training import ResolvedSchedule


def rate_share(schedule: ResolvedSchedule, optimizer: Optimizer, step: int, steps: int) -> float:
    """The learning rate at a step divided by the peak.

    Warm-up: linear, so that step 1 has 1/warmupSteps of the peak. Cosine: Loshchilov & Hutter 2017, eq. 5.
    WarmupStableDecay: Hu et al. 2024, with a linear decay.

    Args:
        schedule: The schedule.
        optimizer: Its `learning_rate` is the peak that `final_learning_rate` is a share of.
        step: From 1 to `steps`.
        steps: Steps of the whole training.
    """
    if step <= schedule.warmup_steps:
        return step / schedule.warmup_steps
    if schedule.type == "Constant":
        return 1.0
    final = schedule.final_learning_rate / optimizer.learning_rate
    begin = schedule.warmup_steps
    if schedule.type == "WarmupStableDecay":
        begin = max(begin, steps - decay_steps(schedule, steps))
    progress = min(max(step - begin, 0) / max(steps - begin, 1), 1.0)
    remaining = (1 + math.cos(math.pi * progress)) / 2 if schedule.type == "Cosine" else 1 - progress
    return final + (1 - final) * remaining


def decay_steps(schedule: Schedule, steps: int) -> int:
    """Steps of the last phase of WarmupStableDecay."""
    return schedule.decay_steps if schedule.decay_steps is not None else max(steps // 5, 1)
