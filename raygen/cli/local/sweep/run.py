"""`raygen sweep FILE`."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from raygen.cli.extras import needs
from raygen.cli.local.validate import run as validated
from raygen.cli.output import duration, number, print_result, table
from raygen.jobfile import load_kind
from raygen.spec.sweep.sweep import Sweep

EXIT_CODES = {"Succeeded": 0, "Stopped": 3}


def run(args: argparse.Namespace) -> int:
    """Runs a sweep, and prints its best trials."""
    loaded = load_kind(Sweep, args.job, overrides=args.overrides)
    if args.dry_run:
        return validated(args)
    with needs("train,sweep", "Ray"):
        from raygen.cli.local.sweep.display import SweepDisplay
        from raygen.sweeps.sweep import sweep
    with SweepDisplay(loaded.value) as display:
        result = sweep(
            loaded.value,
            base=loaded.path.parent,
            output=args.output,
            name=args.name,
            cores=args.cores,
            watcher=display,
        )
    rows = {
        "sweep": result.sweep,
        "state": f"{result.state} ({result.reason})",
        "trials": number(result.trials),
        "time": duration(result.seconds),
    }
    for one in result.best[:5]:
        metrics = "  ".join(f"{name} {value:.4g}" for name, value in one["metrics"].items())
        values = ", ".join(
            f"{path.rpartition('.')[2]}={shown(value)}" for path, value in one["values"].items()
        )
        rows[f"best: trial {one['trial']}"] = f"{metrics}  ({values})"
    if result.report:
        rows["report"] = result.report
    if result.best:
        rows["again"] = f"raygen sweep best {result.sweep} --as-job > best.yaml"
    print_result(args, asdict(result), table(rows))
    return EXIT_CODES[result.state]


def shown(value: object) -> str:
    """A value in a few characters."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)[:40]
