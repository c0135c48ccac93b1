"""What a checkpoint every 50 steps costs: time that the loop waits in the call, and the whole slowdown.

    python benchmarks/checkpoint_cost.py

The call is `raygen.training.engine.loop.save`: measurements written out, state gathered, a snapshot taken, and where
the thread has not finished an earlier save, the wait for it. The slowdown also holds what the thread takes
from the loop by hashing and writing beside it, on a machine whose cores the loop would use alone. Runs with
and without alternate; both save once at the end, as every run does.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from harness import JOBS, THREADS, completed, spread, write_result

import raygen
from raygen.training.engine import loop

EVERY = 50
LIMIT = 0.01


def main() -> None:
    arguments = parse()
    torch.set_num_threads(THREADS)
    measure(arguments.steps // 4, EVERY)
    shares, slowdowns, calls, sizes = [], [], [], []
    for number in range(arguments.pairs):
        times = {}
        for every in (EVERY, None) if number % 2 else (None, EVERY):
            times[every] = measure(arguments.steps, every)
        saving, plain = times[EVERY], times[None]
        shares.append(sum(saving.calls) / saving.loop)
        slowdowns.append(saving.loop / plain.loop - 1)
        calls += saving.calls
        sizes.append(saving.size)
        print(number + 1, f"waiting {shares[-1]:.3%}, slowdown {slowdowns[-1]:+.2%}", flush=True)
    document = {
        "steps": arguments.steps,
        "every_steps": EVERY,
        "threads": THREADS,
        "checkpoint_bytes": sizes[-1],
        "milliseconds_of_a_call": spread([seconds * 1e3 for seconds in calls]),
        "share_of_loop_waiting": spread(shares),
        "limit_of_share": LIMIT,
        "slowdown": spread(slowdowns),
    }
    write_result("checkpoint_cost", document)
    print(f"waiting: {statistics.median(shares):.3%} of the loop, limit {LIMIT:.0%}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--steps", type=int, default=400)
    return parser.parse_args()


class Times:
    """Seconds of a run's loop, and of every call of save in it."""

    def __init__(self) -> None:
        self.loop = 0.0
        self.calls: list[float] = []
        self.size = 0


def measure(steps: int, every: int | None) -> Times:
    """One run; `every` None saves at the end only."""
    changes = [f"training.duration.steps={steps}", "evaluation.metrics=[]"]
    if every is not None:
        changes.append(f"checkpoint.everySteps={every}")
    job = raygen.load(JOBS / "nanogpt-recipe.yaml", overrides=changes).job
    times = Times()
    with tempfile.TemporaryDirectory(prefix="checkpoint-cost-") as output, timed(times):
        result = completed(raygen.train(job, base=JOBS, output=output, device="cpu"))
        newest = Path(result.run.removeprefix("file://")) / "checkpoints" / f"step-{steps:08}"
        times.size = sum(file.stat().st_size for file in newest.iterdir())
    return times


@contextmanager
def timed(times: Times) -> Iterator[None]:
    """Takes the times of runs inside this context."""

    def call(function: Callable[..., Any], take: Callable[[float], object]) -> Callable[..., Any]:
        def wrapper(*arguments: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*arguments)
            finally:
                take(time.perf_counter() - began)

        return wrapper

    def take_loop(seconds: float) -> None:
        times.loop = seconds

    with (
        patch("raygen.training.engine.loop.save", call(loop.save, times.calls.append)),
        patch("raygen.training.driver.run_loop", call(loop.run_loop, take_loop)),
    ):
        yield


if __name__ == "__main__":
    main()
