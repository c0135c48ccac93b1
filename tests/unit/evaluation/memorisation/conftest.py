"""Digits for the tests of memorisation, and a finder that knows some of them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torch import Tensor

from raygen.evaluation.memorisation import CopyFinder

DIGITS = Path(__file__).resolve().parents[4] / "examples" / "data" / "mnist" / "test.parquet"


@pytest.fixture(scope="package")
def digits() -> tuple[Tensor, Tensor]:
    """900 images uint8 (N, 1, 28, 28), and their labels."""
    columns = pq.read_table(DIGITS).slice(0, 900).to_pydict()
    images = [np.asarray(Image.open(io.BytesIO(picture["bytes"]))) for picture in columns["image"]]
    return torch.from_numpy(np.stack(images))[:, None], torch.tensor(columns["label"])


@pytest.fixture(scope="package")
def training(digits: tuple[Tensor, Tensor]) -> Tensor:
    return digits[0][:450]


@pytest.fixture(scope="package")
def fresh(digits: tuple[Tensor, Tensor]) -> Tensor:
    """Real images that neither the finder nor the model has seen."""
    return digits[0][650:]


@pytest.fixture(scope="package")
def finder(digits: tuple[Tensor, Tensor], training: Tensor) -> CopyFinder:
    return CopyFinder(training, digits[0][450:650])
