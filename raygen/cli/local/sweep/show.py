"""`raygen sweep show`."""

from __future__ import annotations

import argparse

from raygen.cli.extras import needs
from raygen.cli.local.sweep.descent import descent
from raygen.cli.output import duration, number, print_result, table


def run(args: argparse.Namespace) -> int:
    """Prints the trials of a sweep, the best first."""
    with needs("train,sweep", "Optuna"):
        from raygen.sweeps.record import SweepRecord, ranked
    record = SweepRecord(args.sweep)
    summary, history = record.summary(), record.history
    counts = ", ".join(f"{count} {state.lower()}" for state, count in summary["counts"].items())
    rows = {"sweep": record.directory.uri, "trials": f"{number(summary['trials'])} ({counts})"}
    rows["time"] = f"{duration(summary['seconds'])}; of trials {duration(summary['trialSeconds'])}"
    if "cost" in summary:
        rows["cost"] = number(summary["cost"])
    lines = [table(rows), ""]
    trials = [record.trial(one.number) for one in ranked(history)[: args.count]]
    for one in trials:
        metrics = "  ".join(f"{name} {value:.4g}" for name, value in one["metrics"].items())
        values = "  ".join(f"{path}={value}" for path, value in one["values"].items())
        line = f"{one['trial']:>5}  {one['state']:<9}  step {one['step'] or 0:<6}  {metrics}  {values}"
        lines.append(f"{line}  {descent(one)}".rstrip())
    print_result(args, {**summary, "table": trials}, "\n".join(lines).rstrip())
    return 0
