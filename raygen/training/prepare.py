"""Looks at everything that may be wrong with a job before it trains: the machine, the output, the data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from raygen.checkpoint import Loaded, latest
from raygen.compute.arithmetic import precision_notices
from raygen.compute.device import choose_device, fit
from raygen.data.protocol import Dataset
from raygen.data.readers import open_data
from raygen.errors import InputError, OutputError
from raygen.inference.code import install_code
from raygen.run.directory import RunDirectory
from raygen.run.record import RunRecord, run_directory
from raygen.spec import TrainingJob, diff, may_change, notices, parse, resolve
from raygen.storage import open_storage
from raygen.training.engine.rollback import discard
from raygen.training.environment import describe_environment, slow_start
from raygen.training.ray.cluster import check_cluster, on_cluster


@dataclass
class Prepared:
    """A job that can run: everything that may be wrong has been looked at.

    `data`, and the tensors of `found` and `start`, are large; whoever has used them lets them go (`take_found`,
    `release`). A run on Ray's workers has no tensors in `found`: they load them by themselves.
    """

    job: TrainingJob
    directory: RunDirectory
    document: dict[str, Any]
    data: Dataset | None
    device: torch.device
    steps: int
    found: Loaded | None
    notices: list[str]
    start: Loaded | None
    new: bool
    rollbacks: list[dict[str, Any]]
    storage: str
    distributed: bool
    cores: int

    @property
    def dataset(self) -> Dataset:
        """The data set, which has not been released."""
        if self.data is None:
            raise RuntimeError("the data set was released")
        return self.data

    def take_found(self) -> Loaded | None:
        """Hands over the checkpoint to go on from, so that it goes when the caller lets it go."""
        found, self.found = self.found, None
        return found

    def release(self) -> None:
        """Lets go of data and checkpoints; they are not there afterwards."""
        if self.data is not None:
            self.data.close()
        self.data = self.found = self.start = None


def placed(job: TrainingJob, output: str | None, run: str | None) -> TrainingJob:
    """The job with another output folder or run name, where one is given."""
    place = job.spec.output.model_dump(exclude_none=True) | {
        key: value for key, value in (("uri", output), ("run", run)) if value is not None
    }
    return parse(_with_output(job, place))


def _with_output(job: TrainingJob, output: dict[str, Any]) -> dict[str, Any]:
    document = job.model_dump(mode="json", exclude_none=True)
    document["spec"]["output"] = output
    return document


def prepare(
    job: TrainingJob,
    base: Path,
    parent: str | None,
    device_name: str,
    *,
    strict: bool,
    distributed: bool | None = None,
    cores: int = 1,
    notice: Callable[[str], None] | None = None,
) -> Prepared:
    """Everything up to the first write and the first step; `notice` is told where reading the data takes long.

    Raises:
        InputError: something is wrong; says what, where and what to do.
    """
    base = base.resolve()
    device = choose_device(device_name)
    resolved = resolve(job)
    cluster = on_cluster()
    if cluster:
        check_cluster()
    fitted, told = (resolved, []) if cluster else fit(resolved, device, cores)
    if distributed is None:
        distributed = cluster or fitted.spec.scale.workers > 1
    if strict and told:
        raise _unfitting(told)
    # Of the job as it was meant: another number of workers here changes these too.
    told = [*told, *notices(resolved), *precision_notices(fitted, device), *filter(None, [slow_start()])]
    output = resolved.spec.output
    storage = open_storage(output.uri)
    directory = RunDirectory(storage, output.run or job.metadata.name)
    existing = directory.read_job()
    rollbacks = []
    if existing is None:
        # Before the data, which may take minutes to read.
        directory.probe()
    else:
        _refuse_other_job(existing, resolved, directory.uri)
        rollbacks = directory.read_rollbacks()
        discard(directory)
    found = latest(directory.checkpoints, tensors=not distributed) if existing is not None else None
    ancestor = _ancestor(existing, parent, resolved, directory.uri, has_checkpoint=found is not None)
    files = directory.read_data_files() or (ancestor.data_files() if ancestor else {})
    install_code(resolved, base)
    data = open_data(resolved, base, files, notice)
    told += [str(remark) for remark in data.remarks]
    if existing is not None and existing["data"]["fingerprint"] != data.fingerprint:
        raise OutputError(
            "the data is not the data that this run began with",
            where=directory.uri,
            remedy="Restore the data, or choose another --run.",
        )
    told += [f"checkpoint of step {s.step} passed over: {s.reason}" for s in found.skipped] if found else []
    start = None
    if ancestor is not None and found is None:
        start = ancestor.checkpoint(existing["parent"]["step"] if existing else None)
    kin = None if start is None or ancestor is None else ancestor.identity(start.step)
    document = _document(existing, resolved, base, directory.uri, device, data, kin)
    return Prepared(
        fitted,
        directory,
        document,
        data,
        device,
        count_steps(resolved, data),
        found,
        told,
        start,
        existing is None,
        rollbacks,
        storage.uri,
        distributed,
        cores,
    )


def _document(
    existing: Mapping[str, Any] | None,
    job: TrainingJob,
    base: Path,
    uri: str,
    device: torch.device,
    data: Dataset,
    parent: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The run's job.json."""
    first = {
        "data": {
            "fingerprint": data.fingerprint,
            "samplesPerEpoch": data.samples_per_epoch,
            "remarks": [asdict(remark) for remark in data.remarks],
        },
        "seed": job.spec.training.seed,
        "parent": parent,
    }
    # Folders may move between attempts, and machines change; workers and later readers want those of the newest.
    newest = {
        "job": job.model_dump(mode="json"),
        "base": str(base),
        "uri": uri,
        "environment": describe_environment(device, base),
    }
    return first | dict(existing or {}) | newest


def _unfitting(told: Sequence[str]) -> InputError:
    return InputError(
        "the job's scale does not fit this machine: " + "; ".join(told),
        where="spec.scale",
        remedy="Change spec.scale, or leave out --strict.",
    )


def _ancestor(
    existing: Mapping[str, Any] | None,
    parent: str | None,
    job: TrainingJob,
    uri: str,
    *,
    has_checkpoint: bool,
) -> RunRecord | None:
    """The run whose weights this one starts from: as asked for, or as it began."""
    if existing is not None:
        known = existing["parent"]["uri"] if existing["parent"] else None
        if parent is not None and run_directory(parent).uri != known:
            raise OutputError(
                f"the run exists already, and did not start from {parent}",
                where=uri,
                remedy="Leave out --from to continue it, or choose another --run.",
            )
        # A child with a checkpoint of its own no longer needs its parent, which may be gone.
        return RunRecord.open(known) if known and not has_checkpoint else None
    asked = RunRecord.open(parent) if parent is not None else None
    own, theirs = job.spec.data.tokenizer, asked.job.spec.data.tokenizer if asked is not None else None
    if theirs is not None and theirs != own:
        raise InputError(
            f"its tokenizer is {theirs.type}, and weights belong to their tokenizer",
            where=f"--from {parent}",
            remedy="Give spec.data.tokenizer as in that run.",
        )
    return asked


def _refuse_other_job(existing: Mapping[str, Any], job: TrainingJob, uri: str) -> None:
    before = parse(existing["job"])
    changes = [change for change in diff(before, job) if not may_change(change.path)]
    if changes:
        raise OutputError(
            "this run belongs to a job that differs:\n" + "\n".join(f"  {change}" for change in changes),
            where=uri,
            remedy="Choose another run (--run, or spec.output.run); --from starts it from this run's weights.",
        )


def count_steps(job: TrainingJob, data: Dataset) -> int:
    """Optimizer steps of a job's duration."""
    duration, size = job.spec.training.duration, job.spec.training.global_batch_size
    if duration.steps is not None:
        return duration.steps
    if duration.epochs is not None:
        return max(math.ceil(duration.epochs * int(data.samples_per_epoch) / size), 1)
    units = duration.tokens or duration.images or 0
    return math.ceil(units / (size * int(data.units_per_sample)))
