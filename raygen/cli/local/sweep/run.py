"""`raygen sweep FILE`."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from raygen.cli.extras import needs
from raygen.cli.local.job_file import load_sweep
from raygen.cli.local.validate import run as validated
from raygen.cli.output import duration, number, print_result, table

if TYPE_CHECKING:
    from raygen.sweeps.driver import SweepResult


def run(args: argparse.Namespace) -> int:
    """Runs a sweep, and prints its best trials."""
    loaded = load_sweep(args)
    if args.dry_run:
        return validated(args)
    with needs("train,sweep", "Ray"):
        from raygen.cli.local.sweep.display import SweepDisplay
        from raygen.sweeps.status import EXIT_CODES, LogKeeper, Watchers, reporter
        from raygen.sweeps.sweep import sweep
        from raygen.training.drain import asked, hold
        from raygen.training.ray.log_capture import keep_sweep_logs
    attach = keep_sweep_logs(loaded.value.metadata.name)
    with SweepDisplay(loaded.value) as display:
        status = reporter(display.notice)
        try:
            with loaded.with_lines():
                result = sweep(
                    loaded.value,
                    base=loaded.path.parent,
                    output=args.output,
                    name=args.name,
                    cores=args.cores,
                    watcher=Watchers(display, LogKeeper(attach), *([] if status is None else [status])),
                )
        except BaseException as error:
            if status is not None:
                status.failed(error)
            raise
        if status is not None:
            status.ended(result)
    print_result(args, asdict(result), table(_rows(result)))
    if result.state == "Stopped" and asked():
        sys.stdout.flush()
        hold()
    return EXIT_CODES[result.state]


def _rows(result: SweepResult) -> dict[str, str]:
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
    return rows


def shown(value: object) -> str:
    """A value in a few characters."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)[:40]
