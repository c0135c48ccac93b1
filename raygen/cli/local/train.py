"""`raygen train`."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from raygen.cli.local.job_file import load_job, needs_training
from raygen.cli.output import duration, number, print_result, table

if TYPE_CHECKING:
    from raygen.training.result import Result


def run(args: argparse.Namespace) -> int:
    """Trains, and prints where the result is."""
    loaded = load_job(args)
    with needs_training():
        from raygen.cli.display import Display
        from raygen.training.drain import asked, hold
        from raygen.training.driver import train
        from raygen.training.observers.events import Broadcast
        from raygen.training.observers.job_status import reporter
        from raygen.training.ray.log_capture import keep_driver_logs
    kept = keep_driver_logs(loaded.job.metadata.name)
    with Display() as display:
        status = reporter(display.notice)
        observer = Broadcast(display, kept, *([] if status is None else [status]))
        try:
            result = train(
                loaded.job,
                base=loaded.path.parent,
                output=args.output,
                run=args.run,
                parent=args.parent,
                device=args.device,
                strict=args.strict,
                dry_run=args.dry_run,
                distributed=True if args.distributed else None,
                cores=args.cores,
                observer=observer,
            )
        except BaseException as error:
            if status is not None:
                status.failed(error)
            raise
        if status is not None:
            status.ended(result)
    print_result(args, asdict(result), _text(result))
    if result.state == "Stopped" and asked():
        sys.stdout.flush()
        hold()
    return result.exit_code


def _text(result: Result) -> str:
    rows = {
        "state": f"{result.state} ({result.reason})",
        "step": f"{number(result.step)} of {number(result.steps)}",
        **{name: f"{value:.4f}" for name, value in result.metrics.items()},
        "time": duration(result.seconds),
        "run": result.run,
    }
    if result.report is not None:
        rows["report"] = result.report
    if result.state == "Stopped":
        rows["next"] = "the same command continues"
    return table(rows)
