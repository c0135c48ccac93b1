"""The worker pods of a sweep on a cluster: what of them trials share, and how their number follows the trials that there are to train."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from raygen.spec.schema.base import Rule, Spec

MOST_NAMED = 32
"""Idle pods that a driver names at a time; more go a few seconds later."""


class Autoscaling(Spec):
    """How the number of worker pods follows the trials that there are to train."""

    min_workers: Annotated[int, Field(ge=1, le=1024)] = 1
    """Worker pods that stay whatever there is to train."""
    idle_seconds: Annotated[int, Field(ge=0, le=86_400)] = 60
    """How long a worker pod has had nothing to train when it is removed, in seconds."""


def least_workers(spec: Mapping[str, Any]) -> int:
    """Worker pods that a sweep with autoscaling keeps, from its spec as an object of a cluster has it."""
    return int((spec.get("autoscaling") or {}).get("minWorkers") or Autoscaling().min_workers)


def pod_rules() -> tuple[Rule, ...]:
    """Rules of a sweep's spec."""
    concurrency = "(has(self.concurrency) ? self.concurrency : 1)"
    asked = "(has(self.trialsPerWorker) ? self.trialsPerWorker : 1)"
    each = f"({asked} < {concurrency} ? {asked} : {concurrency})"
    scale = "self.template.spec.scale"
    workers = f"(has({scale}) && has({scale}.workers) ? {scale}.workers : 1)"
    return (
        Rule(
            fields=(
                "autoscaling.min_workers",
                "concurrency",
                "trials_per_worker",
                "template.spec.scale.workers",
            ),
            at="autoscaling.minWorkers",
            holds=lambda self: self.autoscaling is None or self.autoscaling.min_workers <= self.most_workers,
            rule="must not be greater than the number of worker pods that all trials at the same time need",
            remedy="Lower minWorkers, or raise concurrency.",
            cel="!has(self.autoscaling) || !has(self.autoscaling.minWorkers)"
            f" || self.autoscaling.minWorkers <= ({concurrency} + {each} - 1) / {each} * {workers}",
        ),
        Rule(
            fields=("trials_per_gpu", "template.spec.scale.workers", "template.spec.scale.gpus_per_worker"),
            at="trialsPerGpu",
            holds=lambda self: (
                self.trials_per_gpu == 1
                or (self.template.spec.scale.workers, self.template.spec.scale.gpus_per_worker) == (1, 1)
            ),
            rule="needs a template whose trials have one worker with one GPU",
            remedy="Remove trialsPerGpu, or give the template scale.gpusPerWorker: 1 and one worker.",
            cel="!has(self.trialsPerGpu) || self.trialsPerGpu == 1"
            f" || (has({scale}) && has({scale}.gpusPerWorker) && {scale}.gpusPerWorker == 1 && {workers} == 1)",
        ),
        Rule(
            fields=("trials_per_gpu", "trials_per_worker"),
            at="trialsPerGpu",
            holds=lambda self: self.trials_per_gpu <= self.trials_per_worker,
            rule="must not be greater than trialsPerWorker, since a pod has whole GPUs",
            remedy="Raise trialsPerWorker, or lower trialsPerGpu.",
            cel=f"!has(self.trialsPerGpu) || self.trialsPerGpu <= {asked}",
        ),
    )
