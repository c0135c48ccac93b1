"""What the operator keeps of each TrainingJob or Sweep, and what of it a plan depends on."""

from __future__ import annotations

import json
from typing import Any, Required, cast

from raygen.controller.queue import Key
from raygen.kube import TRAINING_JOBS
from raygen.kube.bodies import Body, Fields
from raygen.operator.stored import metadata_of
from raygen.spec.names import JOB_LABEL, KIND_LABEL


class StoredJob(Body, total=False):
    """An object as it is kept: `text` is its spec in JSON, `asks` a job's workers and the GPUs of all of them."""

    runtime: Required[str]
    asks: tuple[int, int]
    text: Required[bytes]


def training_job(item: Fields) -> StoredJob:
    """A TrainingJob, whose spec stays JSON text until it is needed."""
    return {**_kept(item), "asks": _asks(item.get("spec") or {})}


def sweep(item: Fields) -> StoredJob:
    """A Sweep, likewise."""
    return _kept(item)


def attempt_of(item: Body) -> int | None:
    """Number of an object's newest attempt."""
    return item["status"].get("attemptCount")


def _kept(item: Fields) -> StoredJob:
    metadata = metadata_of(item)
    metadata.pop("labels", None)
    spec = item.get("spec") or {}
    return {
        "metadata": metadata,
        "runtime": runtime_of(spec),
        "text": json.dumps(spec, separators=(",", ":")).encode(),
        "status": item.get("status") or {},
    }


def as_job(item: Body) -> StoredJob:
    """What the store of a kind's objects holds, by its own type."""
    return cast("StoredJob", item)


def runtime_of(spec: object) -> str:
    """The runtime that a spec names; of one that older definitions let in, it may name anything."""
    reference = spec.get("runtimeRef") if isinstance(spec, dict) else None
    name = reference.get("name") if isinstance(reference, dict) else None
    return name if name and isinstance(name, str) else "default"


def _asks(spec: Any) -> tuple[int, int]:
    """Workers, and GPUs of all of them, that a spec asks for, whatever older definitions let in."""
    scale = spec.get("scale") if isinstance(spec, dict) else None
    asked = [scale.get(key) if isinstance(scale, dict) else None for key in ("workers", "gpusPerWorker")]
    workers, gpus = (
        one if isinstance(one, int) else default for one, default in zip(asked, (1, 0), strict=True)
    )
    return workers, workers * gpus


def opened(item: Body, api_version: str, kind: str) -> Body:
    """An object that was trimmed, with its spec."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": item["metadata"],
        "spec": json.loads(as_job(item)["text"]),
        "status": item["status"],
    }


def job_of(item: Body) -> Key:
    """What a RayJob or a pod says it belongs to."""
    metadata = item["metadata"]
    labels = metadata.get("labels") or {}
    kind = labels.get(KIND_LABEL, TRAINING_JOBS.kind)
    return Key(kind, metadata["namespace"], labels.get(JOB_LABEL, ""))


def is_of(item: Body, kind: str) -> bool:
    """Whether a RayJob or a pod belongs to an object of a kind, or, with clusters that are shared, to nobody alone."""
    found = job_of(item)
    return found.kind == kind or not found.name


def has_begun(progress: Fields) -> bool:
    """Whether a driver that tells this does steps, or has trials do them: these are heard of at their first evaluation."""
    return bool(progress.get("running")) or progress.get("step", 0) >= progress.get("firstStep", 1)


def says_more(before: Body | None, after: Body | None) -> bool:
    """Whether an object has changed in something that a plan depends on: progress alone does not, until it begins."""
    if before is None or after is None:
        return True
    return _essence(before) != _essence(after)


def others_say_more(before: Body, after: Body) -> bool:
    """Whether somebody else than the operator has changed an object in something that a plan depends on."""
    return _of_others(before) != _of_others(after)


def _of_others(item: Body) -> Fields:
    essence = _essence(item)
    return essence | {"status": essence["status"].get("outcome")}


def _essence(item: Body) -> Fields:
    metadata, status = item["metadata"], dict(item["status"])
    progress = status.pop("progress", None) or {}
    preparation = status.pop("preparation", None) or {}
    return {
        "metadata": [metadata.get(key) for key in ("uid", "generation", "deletionTimestamp")],
        "status": status,
        "progress": [
            progress.get("rayJob"),
            progress.get("attempt"),
            progress.get("firstStep"),
            has_begun(progress),
            progress.get("recovery"),
            progress.get("workers"),
        ],
        "preparation": preparation.get("rayJob"),
    }
