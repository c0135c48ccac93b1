"""A run that exists: its job, its data's files, its checkpoints."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from raygen.checkpoint import Loaded, best_step, is_finite, latest, load, steps, survey
from raygen.data.readers import open_domain
from raygen.errors import CheckpointError, InputError, RunError
from raygen.evaluation.formulas import metric_direction
from raygen.run.directory import RunDirectory
from raygen.spec import ResolvedJob, parse, resolve
from raygen.spec.contents import Domain
from raygen.storage import open_storage


class RunRecord:
    """A run directory with a job in it.

    Attributes:
        directory: The run directory.
        document: job.json.
        job: The resolved job.
    """

    def __init__(self, directory: RunDirectory, document: dict[str, Any]) -> None:
        self.directory = directory
        self.document = document
        self.job: ResolvedJob = resolve(parse(document["job"]))

    @classmethod
    def open(cls, uri: str | Path) -> Self:
        """Opens a run directory.

        Raises:
            InputError: there is no run.
        """
        return cls.at(run_directory(uri))

    @classmethod
    def at(cls, directory: RunDirectory) -> Self:
        """Opens a run directory; see `open`."""
        document = directory.read_job()
        if document is None:
            raise InputError(
                "there is no run: job.json is missing",
                where=directory.uri,
                remedy="Give the folder that `raygen train` named, for example runs/gpt-tiny.",
            )
        return cls(directory, document)

    @property
    def base(self) -> Path:
        """Folder of the job file, in which a custom model's code and relative sources are.

        Where it is gone, and the run was moved too, as a project that holds both is, it is the folder that lies to the run
        as the old one did.
        """
        base, before = Path(self.document["base"]), self.document.get("uri")
        if base.is_dir() or before is None or "://" in before or "://" in self.directory.uri:
            return base
        moved = Path(self.directory.uri, os.path.relpath(base, before)).resolve()
        return moved if moved.is_dir() else base

    def identity(self, step: int) -> dict[str, Any]:
        """What a child run remembers of this one, whose checkpoint of this step it starts from."""
        return {"uri": self.directory.uri, "step": step}

    def data_files(self) -> dict[str, bytes]:
        """What the data set kept with the run, the tokenizer for text."""
        return self.directory.read_data_files()

    def domain(self) -> Domain:
        """What the model knows of its data: the run's tokenizer, or the size and classes of its images."""
        return open_domain(self.job.spec.data, self.data_files())

    def checkpoint_step(self) -> int:
        """The step of the checkpoint that `checkpoint` gives, verified, without its tensors.

        Raises:
            RunError: there is none.
        """
        storage, keep = self.directory.checkpoints, self.job.spec.checkpoint.keep_best
        best = best_step(storage, metric_direction(self.job, keep.metric)) if keep is not None else None
        if best is not None:
            return best
        for step in reversed(steps(storage)):
            with suppress(CheckpointError):
                is_finite(storage, step)
                return step
        raise self._has_none()

    def checkpoint(self, step: int | None = None) -> Loaded:
        """A verified checkpoint.

        Args:
            step: Which. Default: the best one if the job keeps it, else the newest that verifies.

        Raises:
            CheckpointError: the one asked for is damaged.
            InputError: there is none of that step.
            RunError: there is none.
        """
        storage = self.directory.checkpoints
        if step is not None:
            there = [folder.step for folder in survey(storage) if folder.complete]
            if step not in there:
                raise InputError(
                    f"there is no checkpoint of step {step}",
                    where=self.directory.uri,
                    remedy=f"There are those of {', '.join(map(str, sorted(there))) or 'no step yet'}.",
                )
            return load(storage, step)
        keep = self.job.spec.checkpoint.keep_best
        best = best_step(storage, metric_direction(self.job, keep.metric)) if keep is not None else None
        if best is not None:
            return load(storage, best)
        found = latest(storage)
        if found is None:
            raise self._has_none()
        return found

    def _has_none(self) -> RunError:
        return RunError(
            "the run has no complete checkpoint yet",
            where=self.directory.uri,
            remedy="Let it train until its first checkpoint.",
        )


def run_directory(uri: str | Path) -> RunDirectory:
    """The run directory at a URI, whether there is a run in it or not.

    A local folder may be named in any way: `.`, through links, relative, with slashes at its end.

    Raises:
        InputError: it is not a folder in a storage: a whole bucket, or the root of the file system.
    """
    whole = open_storage(str(uri)).uri
    scheme, _, path = whole.rpartition("://")
    parent, _, name = path.rpartition("/")
    if not name or (scheme and not parent):
        what = "a whole bucket" if scheme else "the root of the file system"
        raise InputError(
            f"this is {what}, and a run is a folder in it",
            where=str(uri),
            remedy="Give the folder that `raygen train` named, for example runs/gpt-tiny or s3://bucket/runs/gpt-tiny.",
        )
    return RunDirectory(open_storage(whole.removesuffix(f"/{name}") or "/"), name)
