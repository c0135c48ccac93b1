"""Reads the job file that a command was given, and asks for what the command needs."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from raygen.errors import MissingExtraError
from raygen.jobfile import LoadedJob, load


def load_job(args: argparse.Namespace) -> LoadedJob:
    """The job file with the changes of --set.

    Raises:
        JobFileError: the file cannot be read.
        ValidationError: the job has faults.
    """
    return load(args.job, overrides=args.overrides)


@contextmanager
def needs_training() -> Iterator[None]:
    """Around imports of what the extra `train` installs.

    Raises:
        MissingExtraError: it is not installed; says how to.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "raygen":
            raise
        raise MissingExtraError(error.name or "PyTorch", "train") from error
