"""`raygen validate`."""

from __future__ import annotations

import argparse

from raygen.cli.local.job_file import load_job
from raygen.cli.output import print_result
from raygen.spec import notices, resolve


def run(args: argparse.Namespace) -> int:
    """Prints every fault, or that there is none; then what depends on the number of workers."""
    loaded = load_job(args)
    name = loaded.job.metadata.name
    found = notices(resolve(loaded.job))
    document = {"valid": True, "name": name, "file": str(args.job), "notices": found}
    lines = [f"{args.job}: valid TrainingJob {name!r}", *(f"notice: {notice}" for notice in found)]
    print_result(args, document, "\n".join(lines))
    return 0
