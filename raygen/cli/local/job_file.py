"""Reads the job or sweep file that a command was given, and asks for what the command needs."""

from __future__ import annotations

import argparse
import os
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from raygen.cli.extras import needs
from raygen.errors import JobFileError
from raygen.jobfile import Loaded, LoadedJob, kind_in, load_kind, loads_kind
from raygen.spec import Kind, TrainingJob
from raygen.spec.sweep.sweep import Sweep

K = TypeVar("K", bound=Kind)


def load_job(args: argparse.Namespace) -> LoadedJob:
    """The job file with the changes of --set; env:NAME is the environment variable of that name, as JSON.

    Raises:
        JobFileError: the file cannot be read.
        ValidationError: the job has faults.
    """
    return LoadedJob(**vars(_load(TrainingJob, args)))


def load_sweep(args: argparse.Namespace) -> Loaded[Sweep]:
    """The same of a sweep."""
    return _load(Sweep, args)


def holds_sweep(args: argparse.Namespace) -> bool:
    """Whether the file says that it holds a sweep; variables hold what their command is for."""
    return not args.job.startswith("env:") and kind_in(args.job) == Sweep.__name__


def _load(kind: type[K], args: argparse.Namespace) -> Loaded[K]:
    scheme, _, name = args.job.partition(":")
    if scheme != "env":
        return load_kind(kind, args.job, overrides=args.overrides)
    content = os.environ.get(name)
    if content is None:
        raise JobFileError(
            "there is no such environment variable",
            where=args.job,
            remedy=f"Set it to a {kind.noun} as JSON.",
        )
    loaded = loads_kind(kind, content, f"{args.job}.json", overrides=args.overrides)
    return replace(loaded, path=Path.cwd() / f"{kind.noun}.json")


def needs_training() -> AbstractContextManager[None]:
    """Around imports of what the extra `train` installs."""
    return needs("train", "PyTorch")
