"""The actions of `raygen sweep`, and their options."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from raygen.cli.actions import RUN, actions_of


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("must be a number from 1")
    return int(text)


def add_sweep_actions(
    sweep: argparse.ArgumentParser, job_options: Callable[[argparse.ArgumentParser], None]
) -> None:
    """Adds the actions of `sweep`. Each one's module under raygen.cli.local.sweep has `run(args) -> int`.

    Args:
        sweep: The parser of the verb.
        job_options: Adds a file and what changes it.
    """
    sweep.description = f"{sweep.description}; `raygen sweep FILE --help` shows the options of a run"
    action = actions_of(sweep, "raygen.cli.local.sweep", metavar="FILE | ACTION")
    run = action(RUN, "run a sweep file; a sweep that exists goes on where it was (`run` may be left out)")
    job_options(run)
    run.add_argument("--output", metavar="URI", help="folder of all sweeps (default: the file's, or sweeps/)")
    run.add_argument("--name", metavar="NAME", help="the sweep's name; the same name continues the sweep")
    run.add_argument("--cores", type=int, metavar="N", help="cores of this machine to use (default: all)")
    run.add_argument("--dry-run", action="store_true", help="check the file, and try nothing")

    show = action("show", "the trials of a sweep, the best first")
    show.add_argument("sweep", metavar="SWEEP", help="directory of the sweep")
    show.add_argument("-n", dest="count", type=_count, default=20, metavar="N", help="trials (default: 20)")

    best = action("best", "the best trial of a sweep, or the job that gives it again")
    best.add_argument("sweep", metavar="SWEEP", help="directory of the sweep")
    best.add_argument("--trial", type=int, metavar="N", help="this trial instead")
    best.add_argument(
        "--as-job",
        action="store_true",
        help="print a job file whose training gives the same weights, to the bit",
    )

    report = action("report", "write a sweep's report.html, also while it runs")
    report.add_argument("sweep", metavar="SWEEP", help="directory of the sweep")
    report.add_argument(
        "--output", metavar="FILE", help="write this file instead of report.html in the sweep's directory"
    )

    replay = action("replay", "work out every proposal of a sweep again, and compare it with the log")
    replay.add_argument("sweep", metavar="SWEEP", help="directory of the sweep")
