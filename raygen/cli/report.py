"""`raygen report`."""

from __future__ import annotations

import argparse

from raygen.cli.jobs import needs_training
from raygen.cli.output import print_result


def run(args: argparse.Namespace) -> int:
    """Writes report.html from what is in the run directory."""
    with needs_training():
        from raygen.train.report import write_report
        from raygen.train.runs import Run
    where = write_report(Run.open(args.run))
    print_result(args, {"report": where}, where)
    return 0
