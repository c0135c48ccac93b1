"""kill -9 of a sweep's driver, again and again at random moments, while 8 trials train; then what its log says.

    python benchmarks/sweep_kills.py                    # 100 kills

Each driver is a process of its own, with a Ray of its own; it is killed some random time after its first decision, and the next one goes on. Trials are
real: a GPT with 20 steps and two evaluations, by ASHA and TPE. After the last kill a driver ends the sweep. No trial may be lost or proposed twice, no
measurement may be lost or come twice, and a replay has to work out every decision again.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from harness import ROOT, environment, write_result

sys.path.insert(0, str(ROOT))

from raygen.spec.schema.validate import parse_kind
from raygen.spec.sweep.sweep import Sweep
from raygen.storage import LocalStorage
from raygen.sweeps.directory import SweepDirectory
from raygen.sweeps.driver import Driver
from raygen.sweeps.events import Began, Ended, Event, Proposed, Reported
from raygen.sweeps.policy import Policy
from raygen.sweeps.replay import replay
from raygen.sweeps.sweep import SilentWatcher
from raygen.sweeps.trials.processes import RayWorkers
from raygen.training.engine.control import Control
from raygen.training.observers.startup import Startup
from raygen.training.ray.cluster import started_ray
from tests.jobs import write_text
from tests.sweeps import sweep_document

CORES, SLOTS = 2, 8
LONGEST_S = 6.0
"""After its first decision a driver is killed at most so late."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--drive", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--trials", type=int, default=400, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.drive is not None:
        drive(arguments.drive, arguments.trials)
        return
    draw = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory(prefix="sweep-kills-") as name:
        folder = Path(name)
        write_text(folder / "text.txt")
        lost = 0
        for number in range(arguments.kills):
            before = events_of(folder)
            lost += not is_prefix(
                kept := killed(folder, draw.uniform(0, LONGEST_S), arguments.trials), before
            )
            print(f"kill {number + 1}: {len(kept)} events", flush=True)
        done = [event for event in events_of(folder) if isinstance(event, Ended)]
        finish(folder, len({one.trial for one in done}) + SLOTS)
        write_result("sweep_kills", judged(folder, arguments, lost), arguments.out)


def killed(folder: Path, seconds: float, trials: int) -> list[Event]:
    """The log after a driver was killed so long after its first decision."""
    drivers = sum(isinstance(event, Began) for event in events_of(folder))
    process = subprocess.Popen(command(folder, trials), env=environment(), stdout=subprocess.DEVNULL)
    while sum(isinstance(event, Began) for event in events_of(folder)) == drivers:
        if process.poll() is not None:
            sys.exit("a driver ended by itself")
        time.sleep(0.05)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return events_of(folder)


def finish(folder: Path, trials: int) -> None:
    subprocess.run(command(folder, trials), env=environment(), stdout=subprocess.DEVNULL, check=True)


def command(folder: Path, trials: int) -> list[str]:
    return [sys.executable, __file__, "--drive", str(folder), "--trials", str(trials)]


def drive(folder: Path, trials: int) -> None:
    """One driver; ends with the sweep."""
    document = sweep_document(
        search={"type": "TPE"},
        scheduler={"type": "ASHA", "firstSteps": 10, "reduction": 2},
        budget={"trials": trials},
        concurrency=SLOTS,
        template__spec__evaluation__samples=None,
    )
    sweep = parse_kind(Sweep, document)
    with started_ray(CORES, CORES, Startup(), print):
        directory = SweepDirectory(LocalStorage(folder / "sweep"))
        with closing(RayWorkers(SLOTS, CORES / SLOTS)) as workers:
            driver, events, policy = directory.claim({}), directory.read(), Policy(sweep, 1)
            Driver(
                sweep, folder, directory, driver, events, policy, workers, 1, Control(), SilentWatcher()
            ).run()


def events_of(folder: Path) -> list[Event]:
    return SweepDirectory(LocalStorage(folder / "sweep")).read()


def is_prefix(events: list[Event], before: list[Event]) -> bool:
    """Whether all that was recorded is recorded still."""
    return events[: len(before)] == before


def judged(folder: Path, arguments: argparse.Namespace, lost: int) -> dict[str, Any]:
    events = events_of(folder)
    proposed = Counter(event.trial for event in events if isinstance(event, Proposed))
    reported = Counter((event.trial, event.step) for event in events if isinstance(event, Reported))
    found = replay(str(folder / "sweep"))
    values: dict[str, Any] = {
        "kills": arguments.kills,
        "seed": arguments.seed,
        "slots": SLOTS,
        "drivers": sum(isinstance(event, Began) for event in events),
        "events": len(events),
        "trials": len(proposed),
        "decisions": found.proposals + found.decisions,
    }
    counted = {
        "lost": lost,
        "repeated_trials": sum(count > 1 for count in proposed.values()),
        "repeated_reports": sum(count > 1 for count in reported.values()),
        "differences": len(found.differences),
    }
    print(json.dumps(values | counted))
    return values | counted | {"must": dict.fromkeys(counted, 0)}


if __name__ == "__main__":
    main()
