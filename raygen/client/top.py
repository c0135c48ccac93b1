"""What the jobs of a cluster use, and what comes out of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from raygen.client.jobs import current
from raygen.spec.status import PREPARATION

Object = dict[str, Any]


@dataclass(frozen=True)
class Usage:
    """One job or sweep.

    Attributes:
        kind: Which of them.
        namespace: Where it is.
        name: Its name.
        reason: How it is.
        active: Whether pods are its own now.
        workers: Of its workers.
        gpus: Of all its workers together.
        step: Steps done.
        steps: Steps in all; 0 while nobody has said, and of a sweep.
        trials: How many trials of a sweep have ended: 12 of 50; "" of a job.
        throughput: Tokens of text, or images, per second.
        goodput: Share of the attempt's time that was spent in training steps; None while nobody has said.
        eta: Time left, as the driver says it.
        gpu_hours: GPUs times the time in which the job was active, in hours. Waiting in a queue, or for room in a shared
            cluster, is none; waiting for pods is.
    """

    kind: str
    namespace: str
    name: str
    reason: str
    active: bool
    workers: int
    gpus: int
    step: int
    steps: int
    trials: str
    throughput: float
    goodput: float | None
    eta: str
    gpu_hours: float


def usage(jobs: Iterable[Object], now: datetime) -> list[Usage]:
    """Of each job, those first that use the most."""
    found = [_usage(job, now) for job in jobs]
    return sorted(found, key=lambda one: (not one.active, -one.gpus, -one.workers, one.namespace, one.name))


def _usage(job: Object, now: datetime) -> Usage:
    metadata, status = job["metadata"], job.get("status") or {}
    template = (job["spec"].get("template") or {}).get("spec") or job["spec"]
    scale, progress = template.get("scale") or {}, status.get("progress") or {}
    attempts = status.get("attempts") or ()
    # A sweep has as many for each trial that trains.
    workers = int(scale.get("workers") or 1) * int(job["spec"].get("concurrency") or 1)
    gpus = all_gpus = workers * int(scale.get("gpusPerWorker") or 0)
    since = status.get("startTime")
    until = _moment(status["completionTime"]) if "completionTime" in status else now
    seconds = status.get("activeSeconds", 0) + ((until - _moment(since)).total_seconds() if since else 0.0)
    # Attempts that prepare data have no GPUs. That some of their time may have been spent in a queue is not known here.
    preparing = [one for one in attempts if one.get("stage") == PREPARATION]
    seconds -= sum(_seconds(one, until) for one in preparing)
    if any("ended" not in one for one in preparing):
        workers, gpus = int((job["spec"].get("preparation") or {}).get("workers") or 1), 0
    return Usage(
        kind=str(job.get("kind") or "TrainingJob"),
        namespace=metadata["namespace"],
        name=metadata["name"],
        reason=current(job)["reason"],
        active=since is not None and any("ended" not in one for one in attempts),
        workers=workers,
        gpus=gpus,
        step=int(progress.get("step", 0)),
        steps=int(progress.get("steps", 0)),
        trials=str(progress.get("said", "")),
        throughput=float(progress.get("throughput") or 0.0),
        goodput=progress.get("goodput"),
        eta=str(progress.get("eta", "")),
        gpu_hours=all_gpus * max(seconds, 0.0) / 3600,
    )


def goodput(found: Iterable[Usage]) -> float | None:
    """Of all active jobs together, each weighted by its GPUs, or by its workers where none has GPUs."""
    told = [(one, one.goodput) for one in found if one.active and one.goodput is not None]
    with_gpus = any(one.gpus for one, _ in told)
    weighed = [(one.gpus if with_gpus else one.workers, share) for one, share in told]
    total = sum(weight for weight, _ in weighed)
    return sum(weight * share for weight, share in weighed) / total if total else None


def _seconds(attempt: Object, until: datetime) -> float:
    ended = _moment(attempt["ended"]) if "ended" in attempt else until
    return (ended - _moment(attempt["started"])).total_seconds()


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
