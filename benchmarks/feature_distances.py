"""Frechet and kernel distance of features that are given, beside torch-fidelity and torchmetrics: seconds and memory.

    python benchmarks/feature_distances.py                                  # 50,000 x 2,048, as from Inception
    python benchmarks/feature_distances.py --samples 2000 --dimensions 128 --rounds 1   # a trial

All get the same float32 features of two sets, rectified and correlated like those of a network, in memory. Each measurement is a process of its
own; sides take turns. Peers have their own defaults: 100 subsets of 1,000 for the kernel distance, which raygen's second side has too, while its
first one deals all samples into blocks of 1,000. Memory is the peak of the process less what it had with the features.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import torch
from harness import THREADS, environment, spread, write_result
from torch import Tensor, nn

MUST = {"peers_to_raygen": 3.0, "memory_mib": 1024.0}
BATCH = 500
"""Samples in the batches that torchmetrics is given."""
SIZE = 1000
"""Samples of a subset or block."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=50_000, help="of each set (default: 50,000)")
    parser.add_argument("--dimensions", type=int, default=2048, help="features of a sample (default: 2,048)")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each side (default: 3)")
    parser.add_argument("--out", type=Path, help="where the figures go (default: results/)")
    parser.add_argument("--measure", nargs=2, metavar=("METRIC", "SIDE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measured(*arguments.measure, arguments.samples, arguments.dimensions)))
        return
    document: dict[str, Any] = {
        "samples": arguments.samples,
        "dimensions": arguments.dimensions,
        "threads": THREADS,
        "must": MUST,
        "versions_of_peers": {name.replace("_", "-"): version(name.replace("_", "-")) for name in peers()},
    }
    for metric, sides in SIDES.items():
        known = [side for side in sides if side.partition(" ")[0] in ("raygen", *peers())]
        rounds = [
            {side: measure(metric, side, arguments) for side in turned(known, number)}
            for number in range(arguments.rounds)
        ]
        document[metric] = summary(known, rounds)
        print(json.dumps({metric: document[metric]}, indent=1), flush=True)
    write_result("feature_distances", document, arguments.out)


def peers() -> list[str]:
    """Those that are installed."""
    return [name for name in ("torch_fidelity", "torchmetrics") if find_spec(name)]


def turned(sides: list[str], number: int) -> list[str]:
    """The sides in another order each round."""
    return sides[number % len(sides) :] + sides[: number % len(sides)]


def measure(metric: str, side: str, arguments: argparse.Namespace) -> dict[str, float]:
    """One measurement in a process of its own."""
    command = [sys.executable, __file__, "--measure", metric, side]
    command += ["--samples", str(arguments.samples), "--dimensions", str(arguments.dimensions)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def summary(sides: list[str], rounds: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    """Seconds, memory and value of each side, and how many times as long as raygen's the fastest peer of each round takes."""
    found: dict[str, Any] = {
        side: {
            "seconds": spread([measurements[side]["seconds"] for measurements in rounds]),
            "memory_mib": max(measurements[side]["memory_mib"] for measurements in rounds),
            "value": rounds[0][side]["value"],
        }
        for side in sides
    }
    others = [side for side in sides if not side.startswith("raygen")]
    for side in (side for side in sides if side.startswith("raygen") and others):
        found[side]["peers_to_raygen"] = spread(
            [
                min(measurements[other]["seconds"] for other in others) / measurements[side]["seconds"]
                for measurements in rounds
            ]
        )
    return found


def measured(metric: str, side: str, samples: int, dimensions: int) -> dict[str, float]:
    """Seconds, MiB beyond the features, and the value."""
    torch.set_num_threads(THREADS)
    warnings.simplefilter("ignore")
    real, fake = (features(samples, dimensions, seed) for seed in (0, 1))
    function = SIDES[metric][side]()
    before = psutil.Process().memory_info().rss
    began = time.perf_counter()
    value = function(real, fake)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": seconds, "memory_mib": round(max(peak - before, 0) / 2**20, 1), "value": value}


def features(samples: int, dimensions: int, seed: int) -> Tensor:
    """Features of one set, (samples, dimensions), made block by block so that nothing else fills the memory before."""
    shared = torch.Generator().manual_seed(2)
    mixing = torch.randn(dimensions, dimensions, generator=shared) / dimensions**0.5
    mixing *= torch.arange(1, dimensions + 1) ** -0.5
    generator = torch.Generator().manual_seed(seed)
    found = torch.empty(samples, dimensions)
    for rows in blocks(samples):
        noise = torch.randn(rows.stop - rows.start, dimensions, generator=generator)
        found[rows] = (noise @ mixing + (0.1 + 0.01 * seed)).clamp_(min=0)
    return found


def blocks(samples: int) -> Iterator[slice]:
    return (slice(start, min(start + BATCH, samples)) for start in range(0, samples, BATCH))


def raygen_frechet() -> Callable[[Tensor, Tensor], float]:
    from raygen.evaluation.images.frechet import FeatureSums, frechet_distance

    return lambda real, fake: frechet_distance(FeatureSums.of(real), FeatureSums.of(fake)).value


def raygen_kernel(**options: Any) -> Callable[[Tensor, Tensor], float]:
    from raygen.evaluation.images.kernel import kernel_distance

    return lambda real, fake: kernel_distance(real, fake, size=SIZE, **options).value


def torch_fidelity_frechet() -> Callable[[Tensor, Tensor], float]:
    from torch_fidelity import metric_fid

    def function(real: Tensor, fake: Tensor) -> float:
        both = [metric_fid.fid_features_to_statistics(part) for part in (real, fake)]
        return float(metric_fid.fid_statistics_to_metric(*both, False)["frechet_inception_distance"])

    return function


def torch_fidelity_kernel() -> Callable[[Tensor, Tensor], float]:
    from torch_fidelity import metric_kid

    def function(real: Tensor, fake: Tensor) -> float:
        found = metric_kid.kid_features_to_metric(real, fake, verbose=False)
        return float(found["kernel_inception_distance_mean"])

    return function


class Given(nn.Module):
    """An extractor whose images are features already."""

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.num_features = dimensions

    def forward(self, given: Tensor) -> Tensor:
        return given


def torchmetrics_side(kind: str) -> Callable[[Tensor, Tensor], float]:
    import torchmetrics.image

    def function(real: Tensor, fake: Tensor) -> float:
        metric = getattr(torchmetrics.image, kind)(feature=Given(real.shape[1]))
        for is_real, part in ((True, real), (False, fake)):
            for rows in blocks(len(part)):
                metric.update(part[rows], real=is_real)
        found = metric.compute()
        return float(found[0] if isinstance(found, tuple) else found)

    return function


SIDES: dict[str, dict[str, Callable[[], Callable[[Tensor, Tensor], float]]]] = {
    "frechet": {
        "raygen": raygen_frechet,
        "torch_fidelity": torch_fidelity_frechet,
        "torchmetrics": lambda: torchmetrics_side("FrechetInceptionDistance"),
    },
    "kernel": {
        "raygen": raygen_kernel,
        "raygen with the peers' subsets": lambda: raygen_kernel(estimator="Subsets"),
        "torch_fidelity": torch_fidelity_kernel,
        "torchmetrics": lambda: torchmetrics_side("KernelInceptionDistance"),
    },
}


if __name__ == "__main__":
    main()
