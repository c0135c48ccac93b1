"""`raygen validate`."""

from __future__ import annotations

import argparse

from raygen.cli.jobs import load_job
from raygen.cli.output import print_result


def run(args: argparse.Namespace) -> int:
    """Prints every fault, or that there is none."""
    loaded = load_job(args)
    name = loaded.job.metadata.name
    document = {"valid": True, "name": name, "file": str(args.job)}
    print_result(args, document, f"{args.job}: valid TrainingJob {name!r}")
    return 0
