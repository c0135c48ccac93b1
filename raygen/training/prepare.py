"""Looks at everything that may be wrong with a job before it trains: the machine, the output, the run so far."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raygen.checkpoint import Loaded, Slices, latest
from raygen.compute.scale import fit, fit_reading, may_have_accelerator
from raygen.data.readers import find_sources
from raygen.errors import InputError, OutputError
from raygen.inference.code import install_code
from raygen.run.directory import Attempt, RunDirectory
from raygen.run.record import RunRecord, run_directory
from raygen.spec import Change, ResolvedJob, TrainingJob, diff, may_change, notices, parse, resolve
from raygen.spec.data.reading import RayDataReading
from raygen.storage import open_storage
from raygen.training.engine.rollback import discard
from raygen.training.environment import slow_start, source_commit
from raygen.training.facts import Facts
from raygen.training.ray.cluster import check_cluster, on_cluster
from raygen.training.result import Result


@dataclass
class JobPlan:
    """A run that may begin: everything that can be wrong has been looked at, but for its data and model.

    Attributes:
        job: Resolved and fitted to the machine.
        resolved: The job as it was meant, before it was fitted.
        base: Folder that relative source paths start from.
        directory: The run.
        storage: URI of the folder of all runs.
        existing: job.json of a run that exists, or None.
        rollbacks: How often the run went back.
        checkpoint: The one to resume from, or None; without tensors where others train.
        parent: The run whose weights this one starts from, or None.
        start: Step of the parent's checkpoint, or None.
        notices: What a person should know.
        device: Kind of device of this process: `cuda`, `mps` or `cpu`.
        distributed: Whether Ray's workers train.
        cores: Of this machine to use.
    """

    job: ResolvedJob
    resolved: ResolvedJob
    base: Path
    directory: RunDirectory
    storage: str
    existing: dict[str, Any] | None
    rollbacks: list[dict[str, Any]]
    checkpoint: Loaded | None
    parent: RunRecord | None
    start: int | None
    notices: list[str]
    device: str
    distributed: bool
    cores: int

    @property
    def step(self) -> int:
        """The step that it resumes from; 0 at the start."""
        return self.checkpoint.step if self.checkpoint is not None else 0

    def take_checkpoint(self) -> Loaded | None:
        """Hands over the checkpoint to resume from, so that its tensors go when the caller lets go of them."""
        checkpoint, self.checkpoint = self.checkpoint, None
        return checkpoint

    def data_files(self) -> dict[str, bytes]:
        """What the data set gave to keep when the run, or the one it starts from, began."""
        return self.directory.read_data_files() or (self.parent.data_files() if self.parent else {})

    def document(self, facts: Facts) -> dict[str, Any]:
        """The run's job.json.

        Raises:
            OutputError: the data is not that of the run so far.
        """
        known = (self.existing or {}).get("data")
        if known is not None and known["fingerprint"] != facts.fingerprint:
            raise OutputError(
                "the data is not the data that this run began with",
                where=self.directory.uri,
                remedy="Restore the data, or choose another --run.",
            )
        before = (self.existing or {}).get("order")
        if before is not None and before["of"] == facts.order["of"] and before != facts.order:
            raise OutputError(
                "the samples of this run come in another order than when it began, from the same data and seed",
                where=self.directory.uri,
                remedy="Go on with the versions of raygen and NumPy that it began with, or choose another --run.",
            )
        kin = self.parent.identity(self.start) if self.parent is not None and self.start is not None else None
        first = {
            "data": {
                "fingerprint": facts.fingerprint,
                "samplesPerEpoch": facts.samples_per_epoch,
                "remarks": facts.remarks,
            },
            "seed": self.job.spec.training.seed,
            "parent": kin,
        }
        # Folders may move between attempts, and machines change; workers and later readers want those of the newest.
        commit = source_commit(self.base)
        newest = {
            "job": self.resolved.model_dump(mode="json"),
            "base": str(self.base),
            "uri": self.directory.uri,
            "environment": facts.environment | ({"commit": commit} if commit else {}),
            "parameters": facts.parameters,
            # A change of the mixture's weights from a sample on gives another order, up to which both are the same.
            "order": facts.order,
        }
        return first | (self.existing or {}) | newest

    def complete(self, steps: int) -> Result | None:
        """The result of a run that has nothing left to do."""
        outcome = self.directory.read_outcome()
        if (
            outcome is None
            or outcome["state"] != "Succeeded"
            or outcome["steps"] < steps
            or self.checkpoint is None
        ):
            return None
        self.directory.note_place(str(self.base))
        same = {"reason": "AlreadyComplete", "seconds": 0.0, "run": self.directory.uri}
        return Result(**({"loss": math.nan} | outcome | same))


@dataclass(frozen=True)
class Begun:
    """An attempt that was claimed.

    Attributes:
        attempt: The claim.
        steps: Last step.
    """

    attempt: Attempt
    steps: int


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
) -> JobPlan:
    """Everything up to the first write, but for data and model, which are opened where they are trained.

    Raises:
        InputError: something is wrong; says what, where and what to do.
    """
    base = base.resolve()
    resolved = resolve(job)
    cluster = on_cluster()
    device, gpus = _device(device_name, elsewhere=cluster and distributed is not False)
    if cluster:
        check_cluster()
    fitted, told = (resolved, []) if cluster else fit(resolved, device, cores, gpus)
    if distributed is None:
        reads_by_ray = isinstance(fitted.spec.data.reading, RayDataReading)
        distributed = cluster or fitted.spec.scale.workers > 1 or reads_by_ray
    if distributed and not cluster:
        fitted, more = fit_reading(fitted, cores)
        told = [*told, *more]
    if strict and told:
        raise _unfitting(told)
    # Of the job as it was meant: another number of workers here changes these too.
    told = [*told, *notices(resolved), *_precision_notices(fitted, device), *filter(None, [slow_start()])]
    output = resolved.spec.output
    storage = open_storage(output.uri)
    directory = RunDirectory(storage, output.run)
    existing = directory.read_job()
    rollbacks = []
    if existing is None:
        # Before the data, which may take minutes to read.
        directory.probe()
    else:
        _refuse_other_job(existing, resolved, directory.uri)
        rollbacks = directory.read_rollbacks()
        discard(directory)
    # Workers read and verify their own; a driver's look at what a manifest promises takes no download.
    wanted: dict[str, Slices] | None = {} if distributed else None
    found = latest(directory.checkpoints, tensors=wanted) if existing is not None else None
    if existing is not None:
        _refuse_other_past(existing, resolved, found.step if found is not None else 0, directory.uri)
    ancestor = _ancestor(existing, parent, resolved, directory.uri, has_checkpoint=found is not None)
    start = None
    if ancestor is not None and found is None:
        start = existing["parent"]["step"] if existing else ancestor.checkpoint_step()
    told += [f"checkpoint of step {s.step} passed over: {s.reason}" for s in found.skipped] if found else []
    if distributed:
        # Before Ray starts, which takes a while; workers open both by themselves.
        install_code(resolved, base)
        find_sources(resolved, base)
    return JobPlan(
        job=fitted,
        resolved=resolved,
        base=base,
        directory=directory,
        storage=storage.uri,
        existing=existing,
        rollbacks=rollbacks,
        checkpoint=found,
        parent=ancestor,
        start=start,
        notices=told,
        device=device,
        distributed=distributed,
        cores=cores,
    )


def _refuse_other_past(existing: Mapping[str, Any], job: ResolvedJob, step: int, uri: str) -> None:
    """Weights of a mixture and numbers of the training may change from where the run is on, and not before."""
    known = resolve(parse(existing["job"])).spec
    before, after = ({c.at_step: c.values for c in one.training.changes} for one in (known, job.spec))
    other = [at for at in sorted({*before, *after}) if at < step and before.get(at) != after.get(at)]
    if other:
        told = [Change(f"spec.training.changes, atStep {at}", before.get(at), after.get(at)) for at in other]
        raise OutputError(
            f"this run has trained {step:,} steps with a job that differs:\n"
            + "\n".join(f"  {one}" for one in told),
            where=uri,
            remedy=f"Keep the changes before step {step:,} as they were, and add others from it on, or choose another --run.",
        )
    trained = step * job.spec.training.global_batch_size
    old = {change.from_sample: change.weights for change in known.data.train.weight_changes}
    new = {change.from_sample: change.weights for change in job.spec.data.train.weight_changes}
    past = [start for start in sorted({*old, *new}) if start < trained and old.get(start) != new.get(start)]
    if past:
        raise InputError(
            f"the weights from sample {past[0]:,} on are not those of the run, which has trained {trained:,} samples",
            where="spec.data.train.weightChanges",
            remedy="Keep the changes before that as they were, and add others after it, or choose another --run.",
        )


def _device(name: str, *, elsewhere: bool) -> tuple[str, int]:
    """The kind of device of this process, and how many GPUs this machine has.

    PyTorch, which alone knows, is asked only where it may find something: a process that only drives workers need not
    load it.

    Args:
        name: As in `choose_device`.
        elsewhere: Whether workers train on other machines, so that this one's devices do not matter.
    """
    if name == "cpu" or (name == "auto" and (elsewhere or not may_have_accelerator())):
        return "cpu", 0
    from raygen.compute.device import choose_device, count_gpus

    device = choose_device(name)
    return device.type, count_gpus(device)


def _precision_notices(job: ResolvedJob, device: str) -> list[str]:
    """A sentence for a precision that the device of this process has no hardware for."""
    if job.spec.training.precision == "Float32":
        return []
    # Loads PyTorch, as above.
    from raygen.compute.arithmetic import precision_notices

    return precision_notices(job, device)


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
    before = resolve(parse(existing["job"]))
    changes = [change for change in diff(before, job) if not may_change(change.path)]
    if changes:
        raise OutputError(
            "this run belongs to a job that differs:\n" + "\n".join(f"  {change}" for change in changes),
            where=uri,
            remedy="Choose another run (--run, or spec.output.run); --from starts it from this run's weights.",
        )


def count_steps(job: TrainingJob, samples_per_epoch: int, units_per_sample: int) -> int:
    """Optimizer steps of a job's duration.

    Args:
        job: A resolved job.
        samples_per_epoch: Samples in one pass over the training split.
        units_per_sample: Units of throughput in a sample.
    """
    duration, size = job.spec.training.duration, job.spec.training.global_batch_size
    if duration.steps is not None:
        return duration.steps
    if duration.epochs is not None:
        return max(math.ceil(duration.epochs * samples_per_epoch / size), 1)
    units = duration.tokens or duration.images or 0
    return math.ceil(units / (size * units_per_sample))
