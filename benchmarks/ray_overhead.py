"""raygen's steps on one Ray Train worker beside a bare loop, and the time until the first one.

    python benchmarks/ray_overhead.py

Each run trains jobs/nanogpt-recipe.yaml on one worker. Every ten steps the worker stops for ten steps of the bare
loop of text_speed.py, in the same process, since the machine's speed drifts within seconds. What Ray's other
processes cost is on both sides of that comparison; so each run is also followed by the bare loop in this process,
with Ray gone.

The family below is what raygen calls a custom one: the built-in Transformer, with a break for the bare loop.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from harness import FOLDER, JOBS, TEXT, THREADS, completed, spread, write_result
from image_data import verdict
from text_speed import BLOCK, bare_loop, run
from torch import Tensor

import raygen
from raygen.models.protocol import Batch, Domain, MicroBatch, Sample, SampleRequest, Update, Workers
from raygen.models.registry import build_family
from raygen.spec import resolve

LEAST = 0.98


class Interleaved:
    """The recipe's Transformer; every `BLOCK` steps, before a step, it runs as many of the bare loop.

    Its scalars `own_seconds` and `bare_seconds` are the times of the last block of each, 0 at other steps.
    """

    def __init__(self, job: raygen.TrainingJob, domain: Domain, device: torch.device) -> None:
        recipe = raygen.load(JOBS / "nanogpt-recipe.yaml").job
        del job
        self._family = build_family(resolve(recipe), domain, device)
        self.networks = self._family.networks
        self._bare: Callable[[], None] = bare_loop(recipe)
        self._steps = 0
        self._left = 0.0

    def step(
        self, micro_batches: Sequence[MicroBatch], updates: Mapping[str, Update], workers: Workers
    ) -> dict[str, Tensor]:
        """A step of the Transformer."""
        own = bare = 0.0
        if self._steps % BLOCK == 0:
            entered = time.perf_counter()
            run(self._bare, BLOCK)
            left = time.perf_counter()
            own, bare = entered - self._left, left - entered
            self._left = left
        self._steps += 1
        scalars = self._family.step(micro_batches, updates, workers)
        return scalars | {"own_seconds": torch.tensor(own), "bare_seconds": torch.tensor(bare)}

    def evaluate(self, batch: Batch, draws: Any, weights: Any = None) -> dict[str, Tensor]:
        """The Transformer's."""
        return self._family.evaluate(batch, draws, weights)

    def sample(self, request: SampleRequest) -> list[Sample]:
        """The Transformer's."""
        return self._family.sample(request)

    def parameter_groups(self, network: str) -> Any:
        """The Transformer's."""
        return self._family.parameter_groups(network)


def main() -> None:
    arguments = parse()
    torch.set_num_threads(THREADS)
    rows = []
    for number in range(arguments.pairs):
        rows.append(measured(arguments.steps, arguments.warmup))
        print(number + 1, {name: value for name, value in rows[-1].items() if name != "startup"}, flush=True)
    ratio = spread([row["bare_seconds"] / row["own_seconds"] for row in rows])
    startups = [row["startup"] for row in rows]
    found = {
        "must": {"ray_to_bare_loop": verdict(ratio["median"], LEAST, least=True)},
        "ratio": ratio,
        "ratio_without_ray": spread([row["bare_seconds_without_ray"] / row["own_seconds"] for row in rows]),
        "milliseconds_of_a_step": spread([row["own_seconds"] / BLOCK * 1000 for row in rows]),
        "startup_seconds": {name: spread([one[name] for one in startups]) for name in startups[0]}
        | {"all": spread([sum(one.values()) for one in startups])},
        "steps": arguments.steps,
        "threads": THREADS,
    }
    write_result("ray_overhead", found, arguments.out)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--steps", type=int, default=400, help="measured steps of each side of a pair")
    parser.add_argument("--warmup", type=int, default=50, help="steps before them")
    parser.add_argument("--out", type=Path, help="write the result here")
    return parser.parse_args()


def measured(steps: int, warmup: int) -> dict[str, Any]:
    """Mean seconds of a block of each side, and the phases of the start in seconds."""
    with tempfile.TemporaryDirectory(prefix="ray-overhead-") as output:
        result = completed(
            raygen.train(
                document(steps + warmup),
                base=FOLDER,
                output=output,
                device="cpu",
                distributed=True,
                cores=THREADS,
            )
        )
        directory = raygen.Run.open(result.run).directory
        measurements = [line.values for line in directory.read_metrics().lines if line.step > warmup]
        startup = directory.attempts()[-1].startup
    assert startup is not None
    blocks = [values for values in measurements if values.get("own_seconds")]
    return {
        "own_seconds": statistics.mean(values["own_seconds"] for values in blocks),
        "bare_seconds": statistics.mean(values["bare_seconds"] for values in blocks),
        "bare_seconds_without_ray": alone(steps, warmup),
        "startup": startup,
    }


def document(steps: int) -> dict[str, Any]:
    """The recipe's job with this file's family."""
    job = raygen.load(JOBS / "nanogpt-recipe.yaml", overrides=[f"training.duration.steps={steps}"]).job
    found = job.model_dump(mode="json", exclude_none=True)
    assert job.spec.model.transformer is not None
    context = job.spec.model.transformer.context_length
    family = {"entrypoint": "ray_overhead:Interleaved", "contextLength": context}
    found["spec"]["model"] = {"type": "Custom", "custom": family}
    found["spec"]["data"]["train"]["sources"] = [{"uri": str(TEXT)}]
    found["spec"]["evaluation"] = {"metrics": []}
    return found


def alone(steps: int, warmup: int) -> float:
    """Mean seconds of a block of the bare loop, with nothing beside it."""
    step = bare_loop(raygen.load(JOBS / "nanogpt-recipe.yaml").job)
    run(step, warmup)
    began = time.perf_counter()
    run(step, steps)
    return (time.perf_counter() - began) / steps * BLOCK


if __name__ == "__main__":
    main()
