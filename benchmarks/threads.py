"""How PyTorch's threads should wait: steps of two examples by GOMP_SPINCOUNT, alone and beside busy processes.

    python benchmarks/threads.py

Each setting is a process of its own that trains in turns with the others. What other processes used of the cores is
measured in every turn, and of an idle machine only turns in which that was little count.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from harness import ROOT, THREADS, spread, write_result
from turns import LEAST, QUIET, Side, Turn, take_turns

from raygen.threads import ROUNDS

JOBS = {"GPT": "examples/01-gpt-tiny.yaml", "VAE": "examples/02-vae-mnist.yaml"}
SPINS = {
    "300,000 (libgomp's)": 300_000,
    "10,000": 10_000,
    f"{ROUNDS:,} (raygen's)": ROUNDS,
    "1,000": 1_000,
    "0 (PASSIVE)": 0,
}
ONE = "one thread"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.4, help="of a turn")
    parser.add_argument("--jobs", nargs="*", choices=tuple(JOBS), default=list(JOBS))
    parser.add_argument(
        "--busy", nargs="*", type=int, default=[0, 1, 2], help="processes that compute beside"
    )
    parser.add_argument("--out", help="where the result goes (default: results/)")
    arguments = parser.parse_args()
    results: dict[str, Any] = {}
    for job in arguments.jobs:
        for count in arguments.busy:
            with busy_processes(count):
                turns = take_turns(sides(JOBS[job]), arguments.rounds, arguments.seconds)
            name = f"{job}, {count} busy"
            results[name] = {side: summary(taken, idle=count == 0) for side, taken in turns.items()}
            print(
                name,
                {side: round(r["steps_per_second"]["median"], 1) for side, r in results[name].items()},
                flush=True,
            )
    write_result(
        "threads",
        {"threads": THREADS, "idle_limit": QUIET, "results": results},
        arguments.out and ROOT / arguments.out,
    )


def sides(job: str) -> dict[str, Side]:
    """The same job with every setting."""
    base = {"OMP_WAIT_POLICY": None, "OMP_NUM_THREADS": str(THREADS)}
    found = {name: Side(job, (), base | {"GOMP_SPINCOUNT": str(spins)}) for name, spins in SPINS.items()}
    return found | {ONE: Side(job, (), base | {"OMP_NUM_THREADS": "1"})}


def summary(turns: Sequence[Turn], *, idle: bool) -> dict[str, Any]:
    """Steps per second of the turns that count, and what others used of the cores in these."""
    counted = sorted(turns, key=lambda turn: turn.others)
    if idle:
        counted = [t for i, t in enumerate(counted) if i < LEAST or t.others <= QUIET]
    return {
        "steps_per_second": spread([1 / turn.seconds for turn in counted]),
        "others": max(turn.others for turn in counted),
    }


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """So many processes that compute all the time."""
    with ExitStack() as stack:
        for _ in range(count):
            process = stack.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            stack.callback(process.kill)
        yield


if __name__ == "__main__":
    main()
