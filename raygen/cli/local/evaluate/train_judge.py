"""`raygen evaluate train-judge`."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from raygen.cli.local.job_file import needs_training
from raygen.cli.output import print_result, table
from raygen.errors import InputError


def run(args: argparse.Namespace) -> int:
    """Trains an offline judge from what the packages of its extra carry, and prints how far its scores are from made ones."""
    target = Path(args.to)
    if not target.parent.is_dir():
        raise InputError(
            "there is no such folder", where=str(target.parent), remedy="Make it, or name another file."
        )
    with needs_training():
        from raygen.evaluation.judge.offline import train_judge
    report = train_judge(target, seed=args.seed, progress=lambda text: print(text, file=sys.stderr))
    rows = {
        "file": f"{args.to}, {report.bytes / 1e6:,.0f} MB",
        "SHA-256": report.sha256,
        "trained in": f"{report.seconds:,.0f} s",
    }
    for metric, error in report.errors.items():
        rows[metric] = f"{error:.2f} from the score of a case that was made by script, in the mean"
    print_result(args, {"file": args.to, **asdict(report)}, table(rows))
    return 0
