"""`raygen sweep best`."""

from __future__ import annotations

import argparse
import sys

from raygen.cli.extras import needs
from raygen.cli.local.sweep.descent import descent
from raygen.cli.output import print_result, table
from raygen.errors import InputError
from raygen.jobfile import dumps


def run(args: argparse.Namespace) -> int:
    """Prints the best trial, or its job."""
    with needs("train,sweep", "Optuna"):
        from raygen.sweeps.record import SweepRecord
    record = SweepRecord(args.sweep)
    best = record.best
    if args.trial is None and not best:
        raise InputError(
            "no trial has reported its objectives and kept to the constraints",
            where=record.directory.uri,
            remedy="Go on with the sweep, or look at its trials: raygen sweep show.",
        )
    number = best[0].number if args.trial is None else args.trial
    if args.as_job:
        job = record.job(number)
        if args.json:
            print_result(args, job.model_dump(mode="json", exclude_unset=True), "")
        else:
            # A file elsewhere would look for its data elsewhere.
            sys.stdout.write(
                f"# Trial {number} of {record.directory.uri}. Relative paths start from this file's folder, as they did"
                " from that of the sweep's file.\n"
            )
            if (trial := record.trial(number))["state"] != "Completed":
                sys.stdout.write(
                    f"# It was trained for {trial['step'] or 0} steps, and has not come to its end, as this job does.\n"
                )
            sys.stdout.write(dumps(job))
        return 0
    found = record.trial(number)
    rows = {
        "trial": str(number),
        "state": found["state"],
        "step": str(found["step"]),
        "run": found["run"] or "of an earlier sweep",
    }
    if descent(found):
        rows["lineage"] = descent(found)
    rows |= {name: f"{value:.6g}" for name, value in found["metrics"].items()}
    rows |= {path: str(value) for path, value in found["values"].items()}
    print_result(args, found, table(rows))
    return 0
