"""`raygen leave`."""

from __future__ import annotations

import argparse

from raygen.cli.local.job_file import needs_training
from raygen.cli.output import print_result


def run(args: argparse.Namespace) -> int:
    """Asks what trains in this pod for a checkpoint, and waits for it; 1 if it did not come in time."""
    with needs_training():
        from raygen.training.drain import leave
    left = leave(args.seconds)
    print_result(args, {"left": left}, "left" if left else f"no answer within {args.seconds:g} s")
    return 0 if left else 1
