"""Digits, and what may be wrong with them."""

from __future__ import annotations

import io
import itertools
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import conv2d

DIGITS = Path(__file__).resolve().parents[4] / "examples" / "data" / "mnist" / "test.parquet"


def shuffled_digits(last: int, skip: int = 0) -> tuple[Tensor, Tensor]:
    """Images (N, 1, 28, 28) from 0 to 1 and their labels, up to the last one of the file and in an order of their own."""
    columns = pq.read_table(DIGITS).to_pydict()
    pictures, labels = columns["image"][skip:last], columns["label"][skip:last]
    images = np.stack([np.asarray(Image.open(io.BytesIO(picture["bytes"]))) for picture in pictures])
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    return torch.from_numpy(images)[:, None].float()[order] / 255, torch.tensor(labels)[order]


def blurred(images: Tensor, sigma: float) -> Tensor:
    places = torch.arange(-6.0, 7)
    line = torch.exp(-places.square() / (2 * sigma**2))
    line = line / line.sum()
    return conv2d(
        conv2d(images, line.view(1, 1, 1, -1), padding=(0, 6)), line.view(1, 1, -1, 1), padding=(6, 0)
    )


def noisy(images: Tensor, sigma: float) -> Tensor:
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(1))
    return (images + sigma * noise).clamp(0, 1)


def without(images: Tensor, labels: Tensor, least: int) -> Tensor:
    """As many images as there are, of digits from `least` on."""
    kept = images[labels >= least]
    return kept.repeat(-(-len(images) // len(kept)), 1, 1, 1)[: len(images)]


def all_rise(found: list[dict[str, float]]) -> bool:
    """Whether each number is larger than in the entry before."""
    return all(one[name] < next_one[name] for one, next_one in itertools.pairwise(found) for name in one)
