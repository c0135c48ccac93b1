"""Whether a job may run with its runtime: what admission checks at `kubectl apply`, checked once more.

Admission policies may be missing from a cluster, and a runtime may change after a job was admitted. Whether somebody may
use a runtime is for admission alone: it knows who asks, and an object does not say who made it.
"""

from __future__ import annotations

from collections.abc import Iterator

from raygen.operator.rayjob import scheduling
from raygen.operator.rayjob.render import MAX_JOB_BYTES, MAX_SHARED_JOB_BYTES
from raygen.spec import Fault, Source, TrainingJob
from raygen.spec.runtime import RaygenRuntime
from raygen.spec.schema.faults import fault


def refusals(job: TrainingJob, runtime: RaygenRuntime, namespace: str, size: int) -> list[Fault]:
    """All that the runtime does not allow.

    Args:
        job: The job.
        runtime: What it names.
        namespace: The job's.
        size: Of the job file as it travels, in bytes.
    """
    return list(_refusals(job, runtime, namespace, size))


def _refusals(job: TrainingJob, runtime: RaygenRuntime, namespace: str, size: int) -> Iterator[Fault]:
    spec, allowed = job.spec, runtime.spec
    name = runtime.metadata.name
    if not allowed.allows_namespace(namespace):
        yield fault(
            ("spec", "runtimeRef", "name"),
            name,
            f"must be a runtime that allows the namespace {namespace}",
            "Name another runtime, or have the administrator add the namespace to its allowedNamespaces.",
        )
    if spec.model.custom is not None and not allowed.allow_custom_code:
        yield fault(
            ("spec", "model", "type"),
            spec.model.type,
            f"must be a family of raygen's own, since the runtime {name} allows no custom code",
            "Name a runtime with allowCustomCode.",
        )
    if spec.model.custom is not None and spec.model.custom.package is None:
        yield fault(
            ("spec", "model", "custom", "package"),
            None,
            "must be given on a cluster, where there is no folder beside the job file",
            "Put the module into a package that the cluster can reach, with its SHA-256.",
        )
    yield from _ceilings(job, runtime)
    if allowed.shared_cluster is None:
        yield from scheduling.refusals(job.spec, runtime, namespace)
    else:
        yield from _shared(job, name, allowed.shared_cluster)
    for location, uri in uris(job):
        if not allowed.allows_uri(uri, namespace):
            prefixes = ", ".join(allowed.storage.allowed_uri_prefixes)
            yield fault(
                location,
                uri,
                f"must begin with one of the runtime's allowedUriPrefixes ({prefixes})",
                "Move the data, or name a runtime that allows this place.",
            )
    limit = MAX_JOB_BYTES if allowed.shared_cluster is None else MAX_SHARED_JOB_BYTES
    if size > limit:
        yield fault(
            ("spec",),
            f"{size} bytes",
            f"must be at most {limit} bytes as JSON",
            "Name folders or globs instead of many sources, and shorten prompts.",
        )


def _shared(job: TrainingJob, name: str, cluster: str) -> Iterator[Fault]:
    """What a job cannot choose whose pods are there before it."""
    asked = {
        ("spec", "scheduling"): job.spec.scheduling,
        ("spec", "scale", "acceleratorType"): job.spec.scale.accelerator_type,
    }
    for place, value in asked.items():
        if value is not None:
            yield fault(
                place,
                None if place[-1] == "scheduling" else value,
                f"must be left out, since the runtime {name} sends jobs to the RayCluster {cluster}, whose pods are there already",
                "Remove it, or name another runtime.",
            )


def _ceilings(job: TrainingJob, runtime: RaygenRuntime) -> Iterator[Fault]:
    scale, ceilings, name = job.spec.scale, runtime.spec.ceilings, runtime.metadata.name
    if scale.workers > ceilings.workers:
        yield fault(
            ("spec", "scale", "workers"),
            scale.workers,
            f"must be at most {ceilings.workers}, the ceiling of the runtime {name}",
            "Lower scale.workers, or name another runtime.",
        )
    preparation = job.spec.preparation
    if preparation is not None and preparation.workers > ceilings.workers:
        yield fault(
            ("spec", "preparation", "workers"),
            preparation.workers,
            f"must be at most {ceilings.workers}, the ceiling of the runtime {name}",
            "Lower preparation.workers, or name another runtime.",
        )
    reading = job.spec.data.reading
    if reading is not None and (reading.workers or 1) > ceilings.workers:
        yield fault(
            ("spec", "data", "reading", "workers"),
            reading.workers,
            f"must be at most {ceilings.workers}, the ceiling of the runtime {name}",
            "Lower data.reading.workers, or name another runtime.",
        )
    if scale.workers * scale.gpus_per_worker > ceilings.gpus:
        yield fault(
            ("spec", "scale", "gpusPerWorker"),
            scale.gpus_per_worker,
            f"must give at most {ceilings.gpus} GPUs in all, the ceiling of the runtime {name}",
            "Lower scale.workers or scale.gpusPerWorker, or name another runtime.",
        )
    kind, only = scale.accelerator_type, runtime.spec.node_selector.get(runtime.spec.gpus.label)
    if kind is not None and only is not None and kind != only:
        yield fault(
            ("spec", "scale", "acceleratorType"),
            kind,
            f"must be {only}, which the nodeSelector of the runtime {name} asks for",
            "Remove scale.acceleratorType, or name another runtime.",
        )
    deadline, limit = job.spec.active_deadline_seconds, ceilings.hours * 3600
    if deadline is not None and deadline > limit:
        yield fault(
            ("spec", "activeDeadlineSeconds"),
            deadline,
            f"must be at most {limit}, the ceiling of the runtime {name} ({ceilings.hours} hours)",
            "Lower activeDeadlineSeconds, or name another runtime.",
        )


def uris(job: TrainingJob) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every URI that the job's pods read or write, with its place."""
    spec = job.spec
    validation = spec.data.validation
    splits: dict[str, tuple[Source, ...]] = {
        "train": spec.data.train.sources,
        "validation": (validation.sources or ()) if validation is not None else (),
    }
    for split, sources in splits.items():
        for number, source in enumerate(sources):
            place = ("spec", "data", split, "sources", number)
            yield (*place, "uri"), source.uri
            if source.labels is not None:
                yield (*place, "labels"), source.labels
    if spec.model.custom is not None and spec.model.custom.package is not None:
        yield ("spec", "model", "custom", "package", "uri"), spec.model.custom.package.uri
    texts = spec.data.cleaning.text if spec.data.cleaning is not None else None
    if texts is not None and texts.block_list is not None and texts.block_list.uri is not None:
        yield ("spec", "data", "cleaning", "text", "blockList", "uri"), texts.block_list.uri
    if spec.preparation is not None:
        yield ("spec", "preparation", "uri"), spec.preparation.uri
    generation = spec.evaluation.generation
    if generation is not None and generation.extractor is not None:
        yield ("spec", "evaluation", "generation", "extractor", "uri"), generation.extractor.uri
    yield ("spec", "output", "uri"), spec.output.uri
