"""Reads the job file that a command was given."""

from __future__ import annotations

import argparse

from raygen.jobfile import LoadedJob, load


def load_job(args: argparse.Namespace) -> LoadedJob:
    """The job file with the changes of --set.

    Raises:
        JobFileError: the file cannot be read.
        ValidationError: the job has faults.
    """
    return load(args.job, overrides=args.overrides)
