"""Reads the job file that a command was given, and asks for what the command needs."""

from __future__ import annotations

import argparse
import os
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from raygen.cli.extras import needs
from raygen.errors import JobFileError
from raygen.jobfile import LoadedJob, load, loads


def load_job(args: argparse.Namespace) -> LoadedJob:
    """The job file with the changes of --set; env:NAME is the environment variable of that name, as JSON.

    Raises:
        JobFileError: the file cannot be read.
        ValidationError: the job has faults.
    """
    scheme, _, name = args.job.partition(":")
    if scheme != "env":
        return load(args.job, overrides=args.overrides)
    content = os.environ.get(name)
    if content is None:
        raise JobFileError(
            "there is no such environment variable", where=args.job, remedy="Set it to a job as JSON."
        )
    loaded = loads(content, f"{args.job}.json", overrides=args.overrides)
    return replace(loaded, path=Path.cwd() / "job.json")


def needs_training() -> AbstractContextManager[None]:
    """Around imports of what the extra `train` installs."""
    return needs("train", "PyTorch")
