"""MNIST for the benchmarks of images, in memory, and the options that they share."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from harness import ROOT
from torch import Tensor

from raygen.data.images.files import read_images
from raygen.spec.data.sources import ParquetSource

MNIST = ROOT / "examples" / "data" / "mnist"


@dataclass(frozen=True)
class Digits:
    """Images of digits.

    Attributes:
        images: (N, 1, 28, 28), uint8.
        labels: (N,), int64.
    """

    images: Tensor
    labels: Tensor

    def some(self, count: int, seed: int) -> Digits:
        """This many of them, chosen by a seed."""
        chosen = torch.randperm(len(self.images), generator=torch.Generator().manual_seed(seed))[:count]
        return Digits(self.images[chosen], self.labels[chosen])


@cache
def digits(split: str) -> Digits:
    """The 60,000 images of `train` or the 10,000 of `test`."""
    source = ParquetSource(uri=str(MNIST / f"{split}.parquet"))
    found = read_images([source], ROOT, None)
    labels = torch.tensor([int(label) for label in found.labels or ()])
    return Digits(torch.from_numpy(found.pixels), labels)


def add_arguments(parser: argparse.ArgumentParser, *, seed: int) -> None:
    """Adds --seed, --out and --steps."""
    parser.add_argument("--seed", type=int, default=seed)
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="where to write the result (default: results/)"
    )
    parser.add_argument("--steps", type=int, help="train for only so many steps, for a trial")


def shortened(steps: int | None) -> list[str]:
    """Changes to a job that end it after so many steps."""
    return [] if steps is None else [f"training.duration={{steps: {steps}}}"]


def verdict(value: float, limit: float, *, least: bool = False) -> dict[str, float | bool]:
    """A figure beside its limit, which is the most that it may be, or the least."""
    return {
        "value": value,
        "at_least" if least else "at_most": limit,
        "holds": value >= limit if least else value <= limit,
    }
