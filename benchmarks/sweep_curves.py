"""How near early stopping comes to the best of 100 trainings of a small GPT, and at which share of their steps.

    python benchmarks/sweep_curves.py

For each seed 100 configurations are trained whole. ASHA and FreezeThaw then sweep over the same ones (a random search draws them from the seed alone), training for
real. Plain Ray Tune's ASHA gets the measured curves: what a step gives does not depend on who asks. Random search is the best of as many whole trainings as
`SHARE` pays for.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from harness import ROOT, spread, write_result

sys.path.insert(0, str(ROOT))

import raygen
from raygen.spec.schema.validate import parse_kind
from raygen.spec.sweep.sweep import Sweep
from raygen.sweeps.record import SweepRecord
from raygen.training.observers.startup import Startup
from raygen.training.ray.cluster import started_ray

CONFIGURATIONS, STEPS, EVERY, CORES = 100, 270, 10, 2
SHARE, GAP = 0.12, 0.01
STEP_S = 0.002
"""What a step of a measured curve takes in Ray Tune, so that trials end in an order like the real one."""
SCHEDULERS = {
    "ASHA, a third goes on": {"type": "ASHA", "reduction": 3},
    "ASHA, a quarter goes on": {"type": "ASHA", "reduction": 4},
    "FreezeThaw": {"type": "FreezeThaw"},
}
Curves = list[dict[int, float]]


def document(seed: int, scheduler: dict[str, Any], configurations: int) -> dict[str, Any]:
    """The sweep."""
    template = {
        "model": {
            "type": "Transformer",
            "transformer": {"layers": 2, "heads": 4, "hiddenSize": 64, "contextLength": 64, "qkNorm": True},
        },
        "data": {
            "train": {"sources": [{"uri": str(ROOT / "examples/data/tinyshakespeare.txt")}]},
            "validation": {"fraction": 0.01},
            "tokenizer": {"type": "Character"},
        },
        "training": {
            "duration": {"steps": STEPS},
            "globalBatchSize": 12,
            "optimizer": {
                "type": "Muon",
                "learningRate": 3e-3,
                "matrixLearningRate": 0.015,
                "weightDecay": 0.1,
            },
            "schedule": {"type": "Constant", "warmupSteps": 10},
            "gradientClipNorm": 1.0,
            "seed": 1,
        },
        "evaluation": {"everySteps": EVERY, "metrics": [{"name": "loss", "type": "ValidationLoss"}]},
        "scale": {"cpusPerWorker": 1},
    }
    ranges = {
        "training.optimizer.learningRate": (1e-4, 1e-1),
        "training.optimizer.matrixLearningRate": (1e-3, 0.3),
        "training.optimizer.weightDecay": (1e-3, 1.0),
    }
    parameters: list[dict[str, Any]] = [
        {"path": path, "type": "Real", "low": low, "high": high, "scale": "Log"}
        for path, (low, high) in ranges.items()
    ]
    parameters.append({"path": "model.transformer.layers", "type": "Integer", "low": 1, "high": 3})
    return {
        "apiVersion": "raygen.io/v1alpha1",
        "kind": "Sweep",
        "metadata": {"name": "curves"},
        "spec": {
            "template": {"spec": template},
            "parameters": parameters,
            "objectives": [{"metric": "loss", "goal": "Minimize"}],
            "search": {"type": "Random"},
            "scheduler": scheduler,
            "budget": {"trials": configurations},
            "concurrency": CORES,
            "failedTrials": configurations,
            "seed": seed,
        },
    }


def swept(folder: Path, seed: int, scheduler: dict[str, Any], configurations: int) -> SweepRecord:
    sweep = parse_kind(Sweep, document(seed, scheduler, configurations))
    result = raygen.sweep(
        sweep,
        output=str(folder),
        name=f"{scheduler['type']}{scheduler.get('reduction', '')}-{seed}",
        cores=CORES,
    )
    return SweepRecord(result.sweep)


def by_tune(curves: Curves, folder: Path) -> tuple[float, int]:
    """Plain Ray Tune's ASHA over measured curves: the best loss after all steps, and the steps of all trials."""
    with started_ray(CORES, CORES, Startup(), print):
        from ray import tune
        from ray.tune.schedulers import ASHAScheduler

        def trains(config: dict[str, Any]) -> None:
            for step, loss in curves[config["trial"]].items():
                time.sleep(STEP_S * EVERY)
                tune.report({"loss": loss, "step": step})

        scheduler = ASHAScheduler(time_attr="step", grace_period=EVERY, max_t=STEPS, reduction_factor=3)
        tuner = tune.Tuner(
            tune.with_resources(trains, {"cpu": 1}),
            param_space={"trial": tune.grid_search(list(range(len(curves))))},
            tune_config=tune.TuneConfig(
                metric="loss", mode="min", scheduler=scheduler, max_concurrent_trials=CORES
            ),
            run_config=tune.RunConfig(storage_path=str(folder), verbose=0),
        )
        found = [one.metrics or {} for one in tuner.fit()]
    whole = [one["loss"] for one in found if one.get("step") == STEPS]
    return min(whole), sum(int(one.get("step", 0)) for one in found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--configurations", type=int, default=CONFIGURATIONS)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    count = arguments.configurations
    gaps: dict[str, list[float]] = {}
    shares: dict[str, list[float]] = {}

    def note(name: str, loss: float, steps: float) -> None:
        gaps.setdefault(name, []).append(loss / best - 1)
        shares.setdefault(name, []).append(steps / (count * STEPS))
        print(
            f"seed {seed}: {name} {loss:.4f}, {gaps[name][-1]:.2%} above, {shares[name][-1]:.3f} of the steps",
            flush=True,
        )

    with tempfile.TemporaryDirectory(prefix="sweep-curves-") as name:
        for seed in range(arguments.seeds):
            whole = swept(Path(name), seed, {"type": "Full"}, count).history.trials
            curves: Curves = [
                {step: values["loss"] for step, values in trial.reports.items()} for trial in whole
            ]
            ends = [curve.get(STEPS, float("inf")) for curve in curves]
            best = min(ends)
            print(f"seed {seed}: the best of {count} is {best:.4f}", flush=True)
            for scheduler, spec in SCHEDULERS.items():
                record = swept(Path(name), seed, spec, count)
                (winner,) = record.best
                # One that was not trained to its end is, afterwards.
                steps = sum(one.step for one in record.history.trials) + STEPS - winner.step
                note(scheduler, ends[winner.number], steps)
            note(
                "Ray Tune's ASHA, a third goes on",
                *by_tune([curve for curve in curves if curve], Path(name) / f"tune-{seed}"),
            )
            paid = max(round(SHARE * count), 1)
            note("random search", min(ends[:paid]), paid * STEPS)
            # After each seed, of which one takes some minutes.
            figures = {label: {"gap": spread(gaps[label]), "share": spread(shares[label])} for label in gaps}
            write_result(
                "sweep_curves",
                {"configurations": count, "steps": STEPS, "seeds": seed + 1}
                | {"schedulers": figures, "must": {"gap": GAP, "share": SHARE}},
                arguments.out,
            )


if __name__ == "__main__":
    main()
