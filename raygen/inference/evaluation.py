"""Evaluates a run's checkpoint: everything that can be measured of its model, with intervals, and all that is needed to measure it again."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import torch

from raygen import __version__
from raygen.compute.arithmetic import repeatable
from raygen.compute.device import choose_device, device_name, limited_threads
from raygen.compute.scale import available_cores
from raygen.data.protocol import Dataset
from raygen.data.readers import open_data
from raygen.errors import InputError
from raygen.evaluation.extractors import open_extractor
from raygen.evaluation.formulas import FORMULAS, QUALITIES
from raygen.evaluation.generated.evaluator import Evaluator, kind_of, placed
from raygen.evaluation.generated.making import Team
from raygen.evaluation.intervals import GROUPS, Interval, intervals, recorded
from raygen.evaluation.metrics import added, sums_by_group, values_of
from raygen.inference.run import Run
from raygen.models.protocol import Family, count_parameters
from raygen.parallel.lanes import validation_batches
from raygen.parallel.whole import SingleWorker
from raygen.spec import ResolvedJob
from raygen.spec.families.metrics import GENERATED, OF_TEXTS
from raygen.storage import step_folder

Document = dict[str, Any]

OF_SPLIT = "the choice of validation batches"
OF_SAMPLES = "the choice of generated samples"
"""What an interval covers; the model, and all else that a value depends on, stay as they are."""


def measurable(job: ResolvedJob, base: Path) -> list[str]:
    """Types of metrics that a run of this job can be measured by, as it stands.

    Args:
        job: The run's job, with the evaluation that is meant.
        base: Folder that relative paths start from.

    Raises:
        InputError: the extractor is missing, or another one.
    """
    model, evaluation = job.spec.model, job.spec.evaluation
    if model.vae is not None and model.vae.codebook is not None:
        return ["ValidationLoss"] if job.spec.data.validation is not None else []
    extractor = evaluation.generation.extractor if evaluation.generation is not None else None
    texts = job.spec.data.kind == "text"
    no_classes = False
    if extractor is not None and not texts:
        opened = open_extractor(placed(extractor.uri, base), kind_of(extractor), sha256=extractor.sha256)
        no_classes = not opened.classes
    return [
        kind
        for kind in model.family.metrics
        if (kind in FORMULAS and job.spec.data.validation is not None)
        or (kind in GENERATED and (kind in OF_TEXTS) == texts and (texts or extractor is not None))
        if not (kind == "ClassifierScore" and no_classes)
    ]


def evaluate_run(
    run: Run,
    job: ResolvedJob,
    *,
    step: int | None = None,
    device: str = "auto",
    notice: Callable[[str], None] | None = None,
) -> Document:
    """Measures what the job's `evaluation.metrics` name, and keeps the result as evaluation/step-<step>-<digest>.json in the run.

    The same request on the same machine gives the same document but for times: samples are made and embedded in blocks of a fixed size.

    Args:
        run: The run.
        job: Its job, with the evaluation that is meant.
        step: Which checkpoint. Default: the best one if the job keeps it, else the newest.
        device: Where to compute.
        notice: Takes a sentence now and then, where it takes long.

    Raises:
        InputError: there is nothing to measure, or the extractor or data do not suit.
        DataError: the run's data cannot be read.
    """
    if not job.spec.evaluation.metrics:
        raise InputError(
            "there is nothing to measure",
            where=run.directory.uri,
            remedy="Give --extractor, made by `raygen evaluate train-extractor`, for metrics of images, or data.validation in the job.",
        )
    loaded_step = run.checkpoint_step() if step is None else step
    family, where = run.family(loaded_step, device, job), choose_device(device)
    document: Document = {
        "run": run.directory.uri,
        "step": loaded_step,
        "family": job.spec.model.type,
        "parameters": count_parameters(family),
        "metrics": [
            metric.model_dump(mode="json", exclude_none=True) for metric in job.spec.evaluation.metrics
        ],
        "seed": job.spec.training.seed,
        "versions": {"raygen": __version__, "torch": torch.__version__},
        "values": {},
        "intervals": {},
        "covers": {},
        "seconds": {},
    }
    with (
        limited_threads(available_cores()),
        closing(open_data(job, run.base, run.data_files(), notice)) as data,
        repeatable(where, strict=job.spec.model.family.is_repeatable),
    ):
        document["device"] = device_name(where)
        document["data"] = data.fingerprint
        if any(metric.type in FORMULAS for metric in job.spec.evaluation.metrics):
            _of_split(document, job, data, family, where)
        if any(metric.type in GENERATED for metric in job.spec.evaluation.metrics):
            _of_samples(document, run, job, data, family, where)
    document["lower_is_better"] = {
        metric.name: QUALITIES[metric.type].lower_is_better for metric in job.spec.evaluation.metrics
    }
    document["units"] = {metric.name: QUALITIES[metric.type].unit for metric in job.spec.evaluation.metrics}
    key = f"evaluation/{step_folder(loaded_step)}-{_digest(document)}.json"
    run.directory.storage.write(key, (json.dumps(document, indent=2) + "\n").encode())
    return {**document, "written": f"{run.directory.uri}/{key}"}


def _of_split(
    document: Document, job: ResolvedJob, data: Dataset, family: Family, device: torch.device
) -> None:
    began, metrics = time.monotonic(), job.spec.evaluation.metrics
    groups = sums_by_group(family, validation_batches(job, data, device, SingleWorker()), GROUPS)
    values = values_of(added(groups), metrics)
    kept = [group for group in groups if group]
    found = (
        intervals(values, lambda group: values_of(added(groups[:group] + groups[group + 1 :]), metrics))
        if len(kept) == GROUPS
        else {}
    )
    _keep(document, values, found, OF_SPLIT)
    document["seconds"]["validation"] = time.monotonic() - began


def _of_samples(
    document: Document, run: Run, job: ResolvedJob, data: Dataset, family: Family, device: torch.device
) -> None:
    team = Team(device=device)
    evaluator = Evaluator(job, run.base, data, team)
    began = time.monotonic()
    measured = evaluator.measure(family, team, with_intervals=True)
    if measured is None:
        raise AssertionError("a lone worker that always goes on does not give up")
    document["seconds"]["samples"] = time.monotonic() - began
    document |= measured.document
    _keep(document, measured.values, measured.intervals, OF_SAMPLES)


def _keep(
    document: Document, values: Mapping[str, float], found: Mapping[str, Interval], covers: str
) -> None:
    for part, content in recorded(values, found).items():
        document[part] |= content
    document["covers"] |= dict.fromkeys(found, covers)


def _digest(document: Document) -> str:
    """What was asked for, so that another request is another file."""
    asked = {name: document.get(name) for name in ("metrics", "request", "extractor", "reference", "seed")}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:12]
