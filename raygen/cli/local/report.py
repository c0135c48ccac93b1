"""`raygen report`."""

from __future__ import annotations

import argparse

from raygen.cli.local.job_file import needs_training
from raygen.cli.output import print_result


def run(args: argparse.Namespace) -> int:
    """Writes report.html from what is in the run directory."""
    with needs_training():
        from raygen.inference.run import Run
        from raygen.report.gather import write_report
    where = write_report(Run.open(args.run))
    print_result(args, {"report": where}, where)
    return 0
