"""`raygen sweep report`."""

from __future__ import annotations

import argparse
from pathlib import Path

from raygen.cli.extras import needs
from raygen.cli.output import print_result


def run(args: argparse.Namespace) -> int:
    """Writes the page of a sweep from its log."""
    with needs("train,sweep", "Optuna"):
        from raygen.sweeps.record import SweepRecord
        from raygen.sweeps.report.gather import write_report
    where = write_report(SweepRecord(args.sweep), None if args.output is None else Path(args.output))
    print_result(args, {"report": where}, where)
    return 0
