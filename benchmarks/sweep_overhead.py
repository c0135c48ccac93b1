"""What a sweep costs beside its trials: trials that only sleep, by raygen and by plain Ray Tune with reused actors, in turns.

    python benchmarks/sweep_overhead.py                                       # 1,000 trials of 0.5 s, 4 at a time
    python benchmarks/sweep_overhead.py --trials 10000 --seconds 1 --slots 16 --without-tune --turns 1

Each turn is a process of its own, with a Ray of its own; its time begins when Ray has started, and ends when the last trial's
result is known. The search is random on both sides. Ideal is the time of the trials alone, shared by the slots. raygen's side is its own driver,
log and processes of Ray; only what trains is replaced. After a turn its sweep is opened again: the time until its next decision.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
from harness import ROOT, environment, spread, write_result

sys.path.insert(0, str(ROOT))

from raygen.spec.schema.validate import parse_kind
from raygen.spec.sweep.sweep import Sweep
from raygen.storage import LocalStorage
from raygen.sweeps.directory import SUMMARY, SweepDirectory
from raygen.sweeps.driver import Driver
from raygen.sweeps.replay import opened
from raygen.sweeps.sweep import SilentWatcher
from raygen.sweeps.trials.processes import RayWorkers
from raygen.sweeps.trials.protocol import Evaluated, Left, Message, TrialTask
from raygen.training.engine.control import Control
from raygen.training.observers.startup import Startup
from raygen.training.ray.cluster import started_ray
from tests.sweeps import sweep_document

MUST = {
    "raygen_to_ideal": 1.05,
    "overhead_to_tune": 0.5,
    "driver_mb": 1000,
    "restart_s": 10,
    "summary_kb": 20,
}
CORES = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=0.5, help="of a trial")
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--without-tune", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--side", choices=("raygen", "tune"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps(SIDES[arguments.side](arguments.trials, arguments.seconds, arguments.slots)))
        return
    ideal = arguments.trials * arguments.seconds / arguments.slots
    found: dict[str, list[dict[str, float]]] = {"raygen": [], "tune": []}
    sides = ["raygen"] if arguments.without_tune else ["raygen", "tune"]
    for turn in range(arguments.turns):
        for side in sides if turn % 2 == 0 else reversed(sides):
            found[side].append(run(side, arguments))
            print(
                f"turn {turn + 1}: {side} {found[side][-1]['wall_s']:.1f} s, ideal {ideal:.1f} s", flush=True
            )
    document: dict[str, Any] = {
        "trials": arguments.trials,
        "seconds": arguments.seconds,
        "slots": arguments.slots,
        "ideal_s": ideal,
        "raygen_to_ideal": spread([one["wall_s"] / ideal for one in found["raygen"]]),
        **{
            name: spread([one[name] for one in found["raygen"]])
            for name in ("driver_mb", "restart_s", "summary_kb")
        },
        "must": MUST,
    }
    if not arguments.without_tune:
        # A slot's idle time for each trial.
        over = {
            side: [(one["wall_s"] - ideal) * arguments.slots / arguments.trials for one in found[side]]
            for side in sides
        }
        document["tune_to_ideal"] = spread([one["wall_s"] / ideal for one in found["tune"]])
        document["overhead_s_per_trial"] = {side: spread(values) for side, values in over.items()}
        pairs = zip(over["raygen"], over["tune"], strict=True)
        document["overhead_to_tune"] = spread([ours / theirs for ours, theirs in pairs])
    write_result("sweep_overhead" if arguments.trials <= 1000 else "sweep_scale", document, arguments.out)


def run(side: str, arguments: argparse.Namespace) -> dict[str, float]:
    command = [sys.executable, __file__, "--side", side, "--trials", str(arguments.trials)]
    command += ["--seconds", str(arguments.seconds), "--slots", str(arguments.slots)]
    done = subprocess.run(command, env=environment(), stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


class Sleeping:
    """In place of `raygen.sweeps.trials.processes.TrialProcess`: a trial is a sleep."""

    def run(self, task: TrialTask) -> Iterator[Message]:
        time.sleep(task.job["spec"]["training"]["optimizer"]["epsilon"] * 1000)
        yield Evaluated(task.trial, 20, {"loss": random.random()}, asks=False)
        yield Left(task.trial, 20, "Whole", "Completed", "")

    def stop(self, trial: int) -> None:
        """It does not."""


def by_raygen(trials: int, seconds: float, slots: int) -> dict[str, float]:
    document = sweep_document(budget={"trials": trials}, concurrency=slots)
    # How long it sleeps, where a job has a small number.
    document["spec"]["template"]["spec"]["training"]["optimizer"]["epsilon"] = seconds / 1000
    sweep = parse_kind(Sweep, document)
    with tempfile.TemporaryDirectory() as name, started_ray(CORES, CORES, Startup(), print):
        directory = SweepDirectory(LocalStorage(Path(name)))
        from raygen.sweeps.policy import Policy

        with closing(RayWorkers(slots, CORES / slots, process=Sleeping)) as workers:
            began = time.perf_counter()
            Driver(
                sweep,
                Path(),
                directory,
                directory.claim({}),
                [],
                Policy(sweep, 1),
                workers,
                1,
                Control(),
                SilentWatcher(),
            ).run()
            wall = time.perf_counter() - began
        driver_mb = psutil.Process().memory_info().rss / 1e6
        began = time.perf_counter()
        policy, history = opened(directory.read())
        policy.next(history)
        return {
            "wall_s": wall,
            "driver_mb": driver_mb,
            "restart_s": time.perf_counter() - began,
            "summary_kb": directory.storage.size(SUMMARY) / 1000,
        }


def by_tune(trials: int, seconds: float, slots: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name, started_ray(CORES, CORES, Startup(), print):
        from ray import tune

        class Sleeps(tune.Trainable):
            def step(self) -> dict[str, Any]:
                time.sleep(seconds)
                return {"loss": random.random(), "done": True}

            def reset_config(self, new_config: dict[str, Any]) -> bool:  # noqa: ARG002
                return True

            def save_checkpoint(self, checkpoint_dir: str) -> None:
                """Has none."""

        space = {"rate": tune.loguniform(1e-4, 1e-1), "layers": tune.randint(1, 5)}
        tuner = tune.Tuner(
            tune.with_resources(Sleeps, {"cpu": CORES / slots}),
            param_space=space,
            tune_config=tune.TuneConfig(num_samples=trials, max_concurrent_trials=slots, reuse_actors=True),
            run_config=tune.RunConfig(storage_path=name, verbose=0),
        )
        began = time.perf_counter()
        results = tuner.fit()
        wall = time.perf_counter() - began
        assert len(results) == trials
        assert not results.errors
        return {"wall_s": wall}


SIDES = {"raygen": by_raygen, "tune": by_tune}

if __name__ == "__main__":
    main()
