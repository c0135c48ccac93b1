"""Time from `raygen train` to the first step with one worker and with two, in turns with another checkout.

python benchmarks/startup_workers.py --vs FOLDER

Both checkouts use this Python and its packages, and train examples/01-gpt-tiny.yaml for five steps, each worker on one
core. Seconds of the wall depend on what else the machine does; seconds of computing, of all processes together until the
first step, less so.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
from harness import ROOT, environment, spread, write_result

JOB = "examples/01-gpt-tiny.yaml"
STEPS = 5
LIMIT = 0.6
"""Of the other checkout's time."""
POLL_S = 0.05
DEADLINE_S = 600.0

Measured = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vs", type=Path, required=True, metavar="FOLDER", help="another checkout")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    sides = {"other": options.vs.resolve(), "this": ROOT}
    runs: dict[tuple[int, str], list[Measured]] = defaultdict(list)
    for number in range(options.rounds):
        for workers in options.workers:
            # Who goes first changes, since the machine may slow down in the middle of a round.
            for side in sorted(sides, reverse=number % 2 == 1):
                runs[workers, side].append(first_step(sides[side], workers))
                print(workers, side, runs[workers, side][-1], flush=True)
    document = {
        str(workers): table(runs[workers, "this"], runs[workers, "other"]) for workers in options.workers
    }
    versions = {package: version(package) for package in ("ray", "torch")}
    other = {"commit": commit_of(options.vs), "load": os.getloadavg()[2]}
    write_result(
        "startup_workers",
        {"unit": "seconds", "limit": LIMIT, "packages": versions, "other": other, "workers": document},
        options.out,
    )


def table(this: list[Measured], other: list[Measured]) -> Measured:
    """Both sides' times, and the median of this one's share of the other's, round by round."""
    both = list(zip(this, other, strict=True))
    figures = ("seconds", "computing")
    return {
        "ratio": {
            figure: statistics.median(mine[figure] / theirs[figure] for mine, theirs in both)
            for figure in figures
        },
        **{
            side: {
                **{figure: spread([run[figure] for run in runs]) for figure in figures},
                "phases": {
                    phase: statistics.median(run["phases"][phase] for run in runs)
                    for phase in runs[0]["phases"]
                },
                "processes": runs[-1]["processes"],
            }
            for side, runs in (("this", this), ("other", other))
        },
    }


def first_step(checkout: Path, workers: int) -> Measured:
    """Runs the job; how long all took until its first step was done."""
    with tempfile.TemporaryDirectory(prefix="startup-") as folder:
        settings = {"duration.steps": STEPS}
        changes = [f"spec.training.{name}={value}" for name, value in settings.items()]
        changes += [f"spec.scale.workers={workers}", "spec.scale.cpusPerWorker=1"]
        command = [
            sys.executable,
            "-m",
            "raygen",
            "train",
            str(checkout / JOB),
            "--output",
            folder,
            "--run",
            "run",
        ]
        began = time.perf_counter()
        process = subprocess.Popen(
            [*command, "--device", "cpu", *(part for change in changes for part in ("--set", change))],
            cwd=folder,
            env={**environment(), "PYTHONPATH": str(checkout)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        seen: dict[int, tuple[str, float]] = {}
        attempt = Path(folder, "run", "attempts", "001.json")
        while not (phases := startup_of(attempt)):
            look(process.pid, seen)
            if process.poll() is not None or time.perf_counter() - began > DEADLINE_S:
                process.kill()
                sys.exit(f"{checkout}: no first step")
            time.sleep(POLL_S)
        seconds = time.perf_counter() - began
        look(process.pid, seen)
        if process.wait(DEADLINE_S) != 0:
            sys.exit(f"{checkout}: the run failed")
    return {
        "seconds": round(seconds, 2),
        "computing": round(sum(spent for _, spent in seen.values()), 2),
        "phases": phases,
        "processes": sorted(seen.values(), key=lambda each: -each[1]),
    }


def startup_of(attempt: Path) -> dict[str, float]:
    """The phases up to the first step, as raygen notes them; empty before it."""
    try:
        document = json.loads(attempt.read_text())
    except (OSError, ValueError):
        return {}
    return dict(document.get("startup") or {})


def look(driver: int, seen: dict[int, tuple[str, float]]) -> None:
    """Notes the name and the computing time of a driver and all processes below it."""
    try:
        processes = [psutil.Process(driver), *psutil.Process(driver).children(recursive=True)]
    except psutil.Error:
        return
    for process in processes:
        try:
            words, times = process.cmdline(), process.cpu_times()
        except psutil.Error:
            continue
        seen[process.pid] = (name_of(words), round(times.user + times.system, 2))


def name_of(words: list[str]) -> str:
    """A process's name without folders: its program, or the script or module that Python runs."""
    if not words:
        return "(ending)"
    if words[0].startswith("ray::"):
        return words[0].split()[0]
    if "-m" in words:
        return words[words.index("-m") + 1]
    scripts = [Path(word).name for word in words if word.endswith(".py")]
    return scripts[0] if scripts else Path(words[0]).name


def commit_of(checkout: Path) -> str:
    """The commit of another checkout."""
    command = ["git", "-C", str(checkout), "rev-parse", "--short=12", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main()
