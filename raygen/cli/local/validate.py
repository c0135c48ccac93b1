"""`raygen validate`."""

from __future__ import annotations

import argparse

from raygen.cli.local.job_file import holds_sweep, load_job, load_sweep
from raygen.cli.output import print_result
from raygen.spec import notices, resolve
from raygen.spec.sweep.space import Space


def run(args: argparse.Namespace) -> int:
    """Prints every fault, or that there is none; then what depends on the number of workers."""
    if holds_sweep(args):
        return _sweep(args)
    loaded = load_job(args)
    name = loaded.job.metadata.name
    found = notices(resolve(loaded.job))
    document = {"valid": True, "name": name, "file": str(args.job), "notices": found}
    lines = [f"{args.job}: valid TrainingJob {name!r}", *(f"notice: {notice}" for notice in found)]
    print_result(args, document, "\n".join(lines))
    return 0


def _sweep(args: argparse.Namespace) -> int:
    """Prints every fault of a sweep and of its space, or that there is none."""
    loaded = load_sweep(args)
    with loaded.with_lines():
        space = Space(loaded.value, str(loaded.path))
    name, points = loaded.value.metadata.name, space.size if space.is_listed else None
    document = {"valid": True, "name": name, "file": str(args.job), "notices": [], "points": points}
    size = f"{points:,} points" if points is not None else "more points than can be listed"
    text = f"{args.job}: valid Sweep {name!r} over {len(space.domains)} parameters, with {size}"
    print_result(args, document, text)
    return 0
