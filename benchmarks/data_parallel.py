"""A step of raygen's data parallelism beside one of PyTorch's DistributedDataParallel, with gloo on one machine.

    python benchmarks/data_parallel.py

Two workers, each with one thread, train the same stack of 24 matrices, 100 million parameters in all, on 32 samples each:
forward, backward, sums of gradients, clipping, SGD. All sides live in the same two processes and take turns, in an
order that turns too, since the machine's speed drifts within seconds. `ddp` is DistributedDataParallel as it is by default;
`ddp_views` has gradient_as_bucket_view, which saves it a copy; `afterwards` sums one flat copy when the backward pass
is over, as raygen did before it had buckets. A ratio is of two turns of one round; its interval covers the true median
with at least 95 % probability, whatever the distribution.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from harness import spread, write_result
from image_data import verdict
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from raygen.models.protocol import sort_parameters
from raygen.parallel import collectives
from raygen.parallel.data_parallel import DataParallel
from raygen.spec.job.training import ResolvedTraining
from raygen.training.optimizers.updates import NetworkUpdate

WORKERS = 2
LAYERS, WIDTH, SAMPLES = 24, 2048, 32
RATE, NORM = 1e-3, 1.0
MOST = 1.05
Step = Callable[[], None]


class Workers:
    """All processes of the group."""

    def __init__(self) -> None:
        self.rank, self.count = dist.get_rank(), dist.get_world_size()

    def sum(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Their sums over all of them."""
        return collectives.sum_tensors(*tensors)

    def start_sum(self, tensor: Tensor) -> Any:
        """Begins to replace a tensor by its sum over all of them."""
        return collectives.start_sum(tensor)


def main() -> None:
    arguments = parse()
    with tempfile.TemporaryDirectory(prefix="data-parallel-") as folder:
        mp.spawn(work, (folder, arguments.rounds, arguments.steps), nprocs=WORKERS)
        found: dict[str, Any] = json.loads((Path(folder) / "seconds.json").read_text())
    seconds: dict[str, list[float]] = found["seconds"]
    ratios = {base: ratio(seconds["raygen"], seconds[base]) for base in ("ddp", "ddp_views", "afterwards")}
    document = {
        "must": {"raygen_to_ddp": verdict(ratios["ddp"]["median"], MOST, least=False)},
        "ratio_of_seconds": ratios,
        "seconds_of_a_step": {side: spread(values) for side, values in seconds.items()},
        "largest_difference_of_weights": found["difference"],
        "parameters": found["parameters"],
        "workers": WORKERS,
        "threads_of_each": 1,
        "steps_of_a_turn": arguments.steps,
    }
    write_result("data_parallel", document, arguments.out)
    for base, figures in ratios.items():
        print(f"raygen / {base}: {figures['median']:.3f}, {figures['interval']}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=2, help="of each side in a round")
    parser.add_argument("--out", type=Path, help="write the result here")
    return parser.parse_args()


def ratio(own: list[float], base: list[float]) -> dict[str, Any]:
    """Seconds over those of the other side, round by round, with an interval for the median."""
    values = sorted(a / b for a, b in zip(own, base, strict=True))
    count, outside = len(values), 0
    # The median lies below the k-th smallest value if fewer than k of them fall below it: a binomial probability.
    while 2 * sum(math.comb(count, i) for i in range(outside + 1)) / 2**count <= 0.05:
        outside += 1
    low = max(outside - 1, 0)
    interval = [float(f"{values[i]:.4g}") for i in (low, count - 1 - low)]
    return {**spread([a / b for a, b in zip(own, base, strict=True)]), "interval": interval}


def work(rank: int, folder: str, rounds: int, steps: int) -> None:
    """One worker; the first one writes the times."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/store", rank=rank, world_size=WORKERS)
    sides = {"raygen": network(), "ddp": network(), "ddp_views": network(), "afterwards": network()}
    generator = torch.Generator().manual_seed(rank)
    samples = torch.randn(SAMPLES, WIDTH, generator=generator)
    takes: dict[str, Step] = {
        "raygen": raygen_step(sides["raygen"], samples),
        "ddp": ddp_step(sides["ddp"], samples, views=False),
        "ddp_views": ddp_step(sides["ddp_views"], samples, views=True),
        "afterwards": late_step(sides["afterwards"], samples),
    }
    seconds: dict[str, list[float]] = {name: [] for name in takes}
    names = list(takes)
    for number in range(-1, rounds):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            dist.barrier()
            began = time.perf_counter()
            for _ in range(steps):
                takes[name]()
            dist.barrier()
            if number >= 0:
                seconds[name].append((time.perf_counter() - began) / steps)
    if rank == 0:
        theirs = list(sides["ddp"].parameters())
        own = list(sides["raygen"].parameters())
        difference = max(float((a - b).detach().abs().max()) for a, b in zip(own, theirs, strict=True))
        found = {
            "seconds": seconds,
            "difference": difference,
            "parameters": sum(p.numel() for p in own),
        }
        (Path(folder) / "seconds.json").write_text(json.dumps(found))
    dist.destroy_process_group()


def network() -> nn.Sequential:
    """The same weights each time."""
    torch.manual_seed(0)
    layers = [layer for _ in range(LAYERS) for layer in (nn.Linear(WIDTH, WIDTH, bias=False), nn.GELU())]
    return nn.Sequential(*layers)


def raygen_step(model: nn.Sequential, samples: Tensor) -> Step:
    """raygen's updates."""
    spec = ResolvedTraining.model_validate(
        {
            "duration": {"steps": 1},
            "globalBatchSize": SAMPLES * WORKERS,
            "optimizer": {"type": "SGD", "learningRate": RATE},
            "schedule": {"type": "Constant"},
            "guards": (),
            "gradientClipNorm": NORM,
        }
    )
    strategy = DataParallel(Workers())
    update = NetworkUpdate(model, sort_parameters(model), spec, spec.optimizer_of("model"), 1, strategy)

    def step() -> None:
        update.schedule(1)
        update.backward(model(samples).square().mean() / WORKERS, last=True)
        update.step()

    return step


def ddp_step(model: nn.Sequential, samples: Tensor, *, views: bool) -> Step:
    """DistributedDataParallel's, which divides sums by the number of workers itself."""
    wrapped = DistributedDataParallel(model, gradient_as_bucket_view=views)
    optimizer = torch.optim.SGD(model.parameters(), RATE, fused=True)

    def step() -> None:
        torch.autograd.backward(wrapped(samples).square().mean())
        nn.utils.clip_grad_norm_(model.parameters(), NORM)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def late_step(model: nn.Sequential, samples: Tensor) -> Step:
    """One message after the backward pass."""
    optimizer = torch.optim.SGD(model.parameters(), RATE, fused=True)

    def step() -> None:
        torch.autograd.backward(model(samples).square().mean() / WORKERS)
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        for gradient, total in zip(gradients, collectives.sum_tensors(*gradients), strict=True):
            gradient.copy_(total)
        nn.utils.clip_grad_norm_(model.parameters(), NORM)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


if __name__ == "__main__":
    main()
