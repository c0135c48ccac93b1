"""What a sweep asks for: the pods of its trials, and whether its runtime allows that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import ceil

from raygen.operator.rayjob import admission
from raygen.spec import Fault, TrainingJob
from raygen.spec.job.output import Output
from raygen.spec.job.training_job import Metadata
from raygen.spec.runtime import RaygenRuntime
from raygen.spec.schema.faults import fault
from raygen.spec.schema.paths import parts_of
from raygen.spec.schema.quantity import memory_bytes
from raygen.spec.sweep.sweep import Sweep
from raygen.spec.sweep.template import OF_THE_SWEEP

_GRANTED = (
    ("data", "train", "sources"),
    ("data", "validation"),
    ("data", "cleaning"),
    ("model", "custom"),
    ("preparation",),
    ("tracking",),
)
"""Fields that hold places and code, which a runtime grants for the template and not for a list of values."""
_OF_THE_SWEEP = ("runtimeRef", "scheduling", "activeDeadlineSeconds", "output")
"""Fields that a sweep has under the same names as a job."""


def pods(sweep: Sweep, runtime: RaygenRuntime) -> TrainingJob:
    """The job whose pods are those of a sweep: as many workers as hold the trials that train at the same time, each for so many as
    share it.
    """
    spec, each = sweep.spec, sweep.spec.each_worker
    scale = spec.template.spec.scale
    cpus = scale.cpus_per_worker or runtime.spec.defaults.cpus_per_worker
    memory = scale.memory_per_worker or runtime.spec.defaults.memory_per_worker
    asked = scale.model_copy(
        update={
            "workers": spec.most_workers,
            "cpus_per_worker": cpus * each,
            "memory_per_worker": memory if each == 1 else str(memory_bytes(memory) * each),
            "gpus_per_worker": ceil(scale.gpus_per_worker * each / spec.trials_per_gpu),
        }
    )
    changes = {name: getattr(spec, name) for name in OF_THE_SWEEP}
    # Each trial reads by itself.
    data = spec.template.spec.data.model_copy(update={"reading": None})
    changes |= {"scale": asked, "data": data, "output": Output(uri=spec.output.uri)}
    return TrainingJob.model_construct(
        api_version=sweep.api_version,
        kind="TrainingJob",
        metadata=Metadata.model_construct(**dict(sweep.metadata)),
        spec=spec.template.spec.model_copy(update=changes),
    )


def refusals(sweep: Sweep, runtime: RaygenRuntime, namespace: str, size: int) -> list[Fault]:
    """All that the runtime does not allow of a sweep.

    Args:
        sweep: The sweep.
        runtime: What it names.
        namespace: The sweep's.
        size: Of the sweep file as it travels, in bytes.
    """
    found = admission.refusals(pods(sweep, runtime), runtime, namespace, size)
    return [*map(_placed, found), *_own(sweep, runtime, namespace)]


def _placed(one: Fault) -> Fault:
    """A fault of such a job, with the path that its value has in the sweep."""
    inner = one.path.removeprefix("spec").removeprefix(".")
    if not inner or inner.partition(".")[0] in _OF_THE_SWEEP:
        return one
    if inner == "scale.workers":
        return replace(one, path="spec.concurrency", remedy="Lower concurrency, or name another runtime.")
    return replace(one, path=f"spec.template.spec.{inner}")


def _is_granted(path: str) -> bool:
    """Whether a path leads to such a field, into it, or to what it is part of."""
    parts = tuple(parts_of(path, TrainingJob))[1:]
    return any(parts[: len(one)] == one[: len(parts)] for one in _GRANTED)


def _own(sweep: Sweep, runtime: RaygenRuntime, namespace: str) -> Iterator[Fault]:
    name = runtime.metadata.name
    for number, objective in enumerate(sweep.spec.objectives):
        if objective.entry_point is not None and not runtime.spec.allow_custom_code:
            yield fault(
                ("spec", "objectives", number, "entryPoint"),
                objective.entry_point,
                f"must be left out, since the runtime {name} allows no custom code",
                "Name a metric instead, or a runtime with allowCustomCode.",
            )
    if sweep.spec.autoscaling is not None and runtime.spec.shared_cluster is not None:
        yield fault(
            ("spec", "autoscaling"),
            None,
            f"must be left out, since the runtime {name} sends sweeps to a cluster that others share",
            "Remove it, or name a runtime whose sweeps have pods of their own.",
        )
    if (
        sweep.spec.autoscaling is not None
        and runtime.spec.scheduler
        and runtime.spec.scheduler.type == "Kueue"
    ):
        yield fault(
            ("spec", "autoscaling"),
            None,
            f"must be left out, since the runtime {name} has the scheduler Kueue, which gives quota for a number of workers once",
            "Remove it, or name a runtime without Kueue.",
        )
    for parameter in sweep.spec.parameters:
        if parameter.type in ("Choice", "Linked") and _is_granted(parameter.path):
            yield fault(
                ("spec", "parameters", parameter.path),
                None,
                "must be another field on a cluster, where data and code are granted as the template has them",
                "Remove the parameter; make a sweep for each of its values.",
            )
    for number, uri in enumerate(sweep.spec.warm_start):
        if not runtime.spec.allows_uri(uri, namespace):
            prefixes = ", ".join(runtime.spec.storage.allowed_uri_prefixes)
            yield fault(
                ("spec", "warmStart", number),
                uri,
                f"must begin with one of the runtime's allowedUriPrefixes ({prefixes})",
                "Name a sweep that is there, or a runtime that allows this place.",
            )
