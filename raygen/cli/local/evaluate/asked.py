"""The run that `raygen evaluate` and `raygen compare` are given, and its job with the evaluation that is asked for."""

from __future__ import annotations

import argparse
import hashlib
import re
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raygen.errors import InputError
from raygen.jobfile.overrides import override
from raygen.spec import ResolvedJob, parse, resolve

if TYPE_CHECKING:
    from raygen.inference.run import Run

_CHECKPOINT = re.compile(r"^(.+?)/checkpoints/step-(\d+)/?$")


def run_and_step(place: str) -> tuple[str, int | None]:
    """A run directory, and the step of a checkpoint where the place is one."""
    found = _CHECKPOINT.match(place)
    return (found[1], int(found[2])) if found else (place, None)


def job_of(run: Run, args: argparse.Namespace) -> ResolvedJob:
    """The run's job with the evaluation that the options ask for: its own metrics, or all where it has none or --all is given.

    Raises:
        InputError: the extractor's file is not there, or the run is of texts, which need none.
        ValidationError: an option does not suit the job.
    """
    from raygen.inference.evaluation import measurable

    given: dict[str, Any] = run.document["job"]
    document = override(given, args.overrides)
    evaluation = document["spec"].setdefault("evaluation", {})
    generation = evaluation.get("generation") or {}
    if args.extractor is not None:
        if run.job.spec.data.kind == "text":
            raise InputError(
                "an extractor compares images, and the run's data holds text",
                where="--extractor",
                remedy="Remove --extractor; --all measures texts.",
            )
        generation["extractor"] = _extractor(args.extractor)
    if args.samples is not None:
        generation["samples"] = args.samples
    if args.extractor is not None or args.samples is not None:
        evaluation["generation"] = generation
    job = resolve(parse(document))
    known = {metric.type for metric in job.spec.evaluation.metrics}
    if known and not args.all and args.extractor is None:
        return job
    missing = [kind for kind in measurable(job, run.base) if kind not in known]
    if not missing:
        return job
    names = {metric.name for metric in job.spec.evaluation.metrics}
    evaluation.setdefault("generation", generation)
    evaluation["metrics"] = [
        *evaluation.get("metrics", ()),
        *({"name": _free_name(kind, names), "type": kind} for kind in missing),
    ]
    return resolve(parse(document))


def _free_name(kind: str, names: Collection[str]) -> str:
    """The name of a metric of this type beside metrics of these names, one of which may be called like another one's type."""
    name = kind
    while name in names:
        name += "_"
    return name


def _extractor(file: str) -> dict[str, str]:
    """A file on this machine as a job names it."""
    path = Path(file).resolve()
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(
            f"the extractor cannot be read: {error.strerror}",
            where=file,
            remedy="Name a file that `raygen evaluate train-extractor` wrote, or an ONNX file.",
        ) from error
    return {"type": "ONNX" if path.suffix == ".onnx" else "Network", "uri": str(path), "sha256": digest}
