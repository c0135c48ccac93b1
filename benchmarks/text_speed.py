"""Tokens per second of raygen's training loop, beside a bare loop and beside nanoGPT.

    python benchmarks/text_speed.py --nanogpt DIR

The machine's speed drifts within seconds, so that only what runs at the same time compares:

- raygen, the bare loop and nanoGPT's model with its step alternate every ten steps in one process. The others run
  inside raygen's own event `progressed`, which comes every ten steps, when the measurements of those steps have been
  read and recorded. Time from the end of one event to the beginning of the next is raygen's. raygen and the bare loop
  drive modules of their own that one function built from one job. Ratios are medians over the blocks of a run.
- nanoGPT is also its own unmodified process, and BFloat16 is another run; each stands right beside a run of raygen
  in Float32, in an order that turns from round to round.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nanogpt
import numpy as np
import torch
from harness import AVX2, JOBS, TEXT, THREADS, completed, spread, write_result
from torch.nn import functional as F

import raygen
from raygen.models.registry import build_family
from raygen.spec import resolve
from raygen.training.observers.events import Observer, Progress
from raygen.training.optimizers.updates import make_optimizers

BLOCK = 10
"""Steps between two events `progressed`."""


def main() -> None:
    arguments = parse()
    if arguments.avx2 and not os.environ.items() >= AVX2.items():
        # The libraries read these while they are loaded.
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | AVX2)  # noqa: S606 (our own program)
    folder = None if arguments.without_nanogpt else nanogpt.check_folder(arguments.nanogpt)
    torch.set_num_threads(THREADS)
    measure = Measure(arguments.steps, arguments.warmup, folder)
    sides: dict[str, Callable[[], float]] = {"raygen": measure.alone, "raygen_bf16": measure.bfloat16}
    if folder is not None:
        sides["nanogpt"] = measure.nanogpt
    turns: list[dict[str, list[float]]] = []
    alone: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(arguments.pairs):
        turns.append(measure.turns())
        names = list(sides)
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            alone[name].append(sides[name]())
        shown = {
            name: round(statistics.median(turns[-1]["raygen"]) / statistics.median(s), 3)
            for name, s in turns[-1].items()
        }
        print(number + 1, shown, {name: round(values[-1]) for name, values in alone.items()}, flush=True)
    document = summary(turns, alone, measure.tokens * BLOCK)
    name = "text_speed_avx2" if arguments.avx2 else "text_speed"
    write_result(name, document | {"steps": arguments.steps, "threads": THREADS})


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    nanogpt.add_argument(parser)
    parser.add_argument("--without-nanogpt", action="store_true", help="compare with the bare loop only")
    parser.add_argument("--avx2", action="store_true", help="on an imitated processor with AVX2 alone")
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--steps", type=int, default=200, help="measured steps of each side of a pair")
    parser.add_argument("--warmup", type=int, default=20, help="steps before them")
    return parser.parse_args()


def summary(
    turns: list[dict[str, list[float]]], alone: dict[str, list[float]], tokens: int
) -> dict[str, Any]:
    """Medians over the rounds of throughputs, and of the median ratio of neighbouring blocks in each round.

    Args:
        turns: Of every round, the seconds of each side's blocks.
        alone: Tokens per second of each side that ran by itself, by round.
        tokens: Of a block.
    """
    sides = {name: [tokens / statistics.median(turn[name]) for turn in turns] for name in turns[0]}
    document: dict[str, Any] = {
        "unit": "tokens per second",
        "interleaved": {name: spread(values) for name, values in sides.items()},
        "alone": {name: spread(values) for name, values in alone.items()},
        "ratios": {
            f"raygen_to_{name}": spread([ratio(turn[name], turn["raygen"]) for turn in turns])
            for name in sides
            if name != "raygen"
        },
    }
    for name, values in alone.items():
        if name != "raygen":
            ratios = [value / base for value, base in zip(values, alone["raygen"], strict=True)]
            document["ratios"][f"{name}_to_raygen"] = spread(ratios)
    return document


def ratio(above: list[float], below: list[float]) -> float:
    """Median ratio of blocks that stood side by side."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


class Measure:
    """One measurement of each kind, in tokens per second.

    Args:
        steps: Measured steps.
        warmup: Steps before them.
        folder: Where nanoGPT is.
    """

    def __init__(self, steps: int, warmup: int, folder: Path | None) -> None:
        self.steps, self.warmup, self.folder = steps, warmup, folder
        self.job = raygen.load(JOBS / "nanogpt-recipe.yaml").job
        training = self.job.spec.training
        assert self.job.spec.model.transformer is not None
        self.tokens = training.global_batch_size * self.job.spec.model.transformer.context_length

    def turns(self) -> dict[str, list[float]]:
        """Seconds of the blocks of raygen, of the bare loop, and of nanoGPT where there is one, alternating."""
        tokens, size = characters()
        steps = {"bare_loop": bare_loop(self.job, (tokens, size))}
        if self.folder is not None:
            steps["nanogpt"] = nanogpt.loop(self.folder, tokens.numpy().astype(np.uint16), size)
        seconds: dict[str, list[float]] = {name: [] for name in steps}

        def others() -> None:
            for name in sorted(steps, reverse=len(seconds["bare_loop"]) % 2 == 1):
                began = time.perf_counter()
                run(steps[name], BLOCK)
                seconds[name].append(time.perf_counter() - began)

        clock = Clock(self.warmup, between=others)
        self._train(clock)
        own = clock.blocks()
        return {"raygen": own} | {name: values[-len(own) :] for name, values in seconds.items()}

    def alone(self) -> float:
        """raygen in Float32."""
        clock = Clock(self.warmup)
        self._train(clock)
        return self.tokens * BLOCK / clock.own()

    def bfloat16(self) -> float:
        """raygen in BFloat16."""
        clock = Clock(self.warmup)
        self._train(clock, "training.precision=BFloat16")
        return self.tokens * BLOCK / clock.own()

    def nanogpt(self) -> float:
        """nanoGPT; its printed time of an iteration, from one loss that it reads to the next."""
        assert self.folder is not None
        last = self.steps + self.warmup
        with nanogpt.prepared(self.folder) as copy:
            log = nanogpt.train(copy, f"--max_iters={last}", "--eval_interval=100000", "--eval_iters=1")
        measured = log.milliseconds[-self.steps :]
        return self.tokens * 1000 / statistics.mean(measured)

    def _train(self, clock: Clock, *overrides: str) -> None:
        changes = (*overrides, f"training.duration.steps={self.steps + self.warmup}", "evaluation.metrics=[]")
        # A schedule as long as the run that is measured in part.
        loaded = raygen.load(JOBS / "nanogpt-recipe.yaml", overrides=changes)
        with tempfile.TemporaryDirectory(prefix="text-speed-") as output:
            completed(raygen.train(loaded.job, base=JOBS, output=output, device="cpu", observer=clock))


class Clock(Observer):
    """Takes the time of blocks of steps between two events, and of `between`, which runs inside them."""

    def __init__(self, warmup: int, between: Callable[[], object] | None = None) -> None:
        self._warmup, self._between = warmup, between
        self._left = 0.0
        self._own: list[float] = []
        self._others: list[float] = []

    def progressed(self, progress: Progress) -> None:
        """Ten more steps are done."""
        entered = time.perf_counter()
        if self._between is not None:
            self._between()
        left = time.perf_counter()
        if progress.step > self._warmup:
            self._own.append(entered - self._left)
            self._others.append(left - entered)
        self._left = left

    def blocks(self) -> list[float]:
        """Seconds of each block of raygen."""
        return list(self._own)

    def own(self) -> float:
        """Mean seconds of a block of raygen."""
        return statistics.mean(self._own)

    def others(self) -> float:
        """Mean seconds of `between`."""
        return statistics.mean(self._others)


def run(step: Callable[[], None], count: int) -> None:
    for _ in range(count):
        step()


def bare_loop(
    job: raygen.TrainingJob,
    text: tuple[torch.Tensor, int] | None = None,
    *,
    device: torch.device | None = None,
    compiled: bool = False,
    apart: bool = False,
) -> Callable[[], None]:
    """A step of a loop that only trains: random windows, loss, gradients, clipping, the same optimizer.

    It reads no loss, follows no schedule, and keeps, records and shows nothing.

    Args:
        job: What is trained.
        text: Tokens, and the size of their vocabulary. Default: the characters of tinyshakespeare.
        device: Where everything is, the tokens too. Default: the CPU.
        compiled: Whether network and loss are compiled.
        apart: Whether the embedding is left out of that, as raygen leaves it out.
    """
    resolved = resolve(job)
    training, context = resolved.spec.training, resolved.spec.model.block.tokens
    device = device or torch.device("cpu")
    tokens, size = text or characters()
    tokens = tokens.to(device)
    family = build_family(resolved, Vocabulary(size), device)
    network = family.networks["model"]
    (optimizer,) = make_optimizers(family.parameter_groups("model"), training.optimizer_of("model")).values()
    offsets = torch.arange(context + 1, device=device)

    def loss_of(inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        logits = network.logits(inputs) if apart else network(inputs)
        return F.cross_entropy(logits.float().flatten(0, 1), targets.flatten())

    mean_loss = torch.compile(loss_of) if compiled else loss_of

    def step() -> None:
        starts = torch.randint(len(tokens) - context, (training.global_batch_size, 1), device=device)
        windows = tokens[starts + offsets]
        inputs = network.embedding(windows[:, :-1]) if apart else windows[:, :-1]
        mean_loss(inputs, windows[:, 1:]).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), training.gradient_clip_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def characters() -> tuple[torch.Tensor, int]:
    """The first nine tenths of tinyshakespeare as characters, and how many kinds there are."""
    text = np.frombuffer(TEXT.read_bytes(), dtype=np.uint8)
    kinds, numbers = np.unique(text, return_inverse=True)
    return torch.from_numpy(numbers[: int(len(numbers) * 0.9)].astype(np.int64)), len(kinds)


class Vocabulary:
    """As much of a vocabulary as a model needs to be built."""

    end_of_text = None

    def __init__(self, size: int) -> None:
        self.size = size

    def encode(self, text: str) -> list[int]:
        """Not asked for."""
        raise NotImplementedError

    def decode(self, tokens: object) -> str:
        """Not asked for."""
        raise NotImplementedError


if __name__ == "__main__":
    main()
