"""Extractors that are trained on labelled images: what comes out, and that it is the same each time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from raygen.errors import DataError, InputError
from raygen.evaluation.extractors import read_extractor, train_extractor
from raygen.evaluation.extractors.network import header_of
from raygen.evaluation.extractors.recipe import fingerprint
from raygen.storage import LocalStorage
from tests.unit.evaluation.extractors.files import sha256

DIGITS = tuple("0123456789")


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor]:
    """Images (N, 1, 8, 8) and labels."""
    found = load_digits()
    grey = np.round(found.images * (255 / 16)).astype(np.uint8)
    return torch.from_numpy(grey)[:, None], torch.from_numpy(found.target)


def test_small_digits_are_told_apart_and_the_file_says_how_it_came_about(
    digits: tuple[Tensor, Tensor], tmp_path: Path
) -> None:
    images, labels = digits
    state = torch.get_rng_state()
    losses: list[float] = []
    trained = train_extractor(
        images, labels, DIGITS, name="digits", steps=150, progress=lambda step, loss: losses.append(loss)
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert trained.accuracy > 0.97
    assert trained.held_out == 180
    assert losses[-1] < losses[0] / 4
    assert trained.sha256 == sha256(trained.content)
    said = header_of(trained.content, "")
    assert (said.architecture, said.classes, said.accuracy) == ("Convolutions", DIGITS, trained.accuracy)
    assert said.data == fingerprint(images, labels, DIGITS)
    storage = LocalStorage(tmp_path)
    storage.write("file.safetensors", trained.content)
    extractor = read_extractor(storage, "file.safetensors", sha256=trained.sha256)
    assert (extractor.name, extractor.dimensions) == ("digits", 128)
    chosen = extractor.embed(images[:300]).probabilities
    assert chosen is not None
    assert (chosen.argmax(dim=1) == labels[:300]).double().mean() > 0.97


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(digits: tuple[Tensor, Tensor]) -> None:
    images, labels = digits[0][:300], digits[1][:300]

    def content(seed: int) -> bytes:
        return train_extractor(images, labels, DIGITS, seed=seed, steps=5).content

    first = content(0)
    torch.rand(3)
    assert content(0) == first
    assert content(1) != first


def test_colours_in_any_size(tmp_path: Path) -> None:
    # Two classes that grey images could not tell apart: the same noise in red, and in blue.
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (200, 32, 24), dtype=torch.uint8, generator=generator)
    labels = torch.arange(200) % 2
    images = torch.zeros((200, 3, 32, 24), dtype=torch.uint8)
    images[labels == 0, 0], images[labels == 1, 2] = noise[labels == 0], noise[labels == 1]
    trained = train_extractor(images, labels, ("red", "blue"), steps=20, widths=(4, 8), features=64)
    assert trained.accuracy == 1
    assert header_of(trained.content, "").inputs.height == 32
    smaller = train_extractor(images, labels, ("red", "blue"), steps=2, size=16, widths=(4,))
    assert header_of(smaller.content, "").inputs.width == 16


def test_copies_are_held_out_together(digits: tuple[Tensor, Tensor]) -> None:
    # Labels at random can be told by memory alone, which must not help with what was held out.
    images = digits[0][:60].repeat(4, 1, 1, 1)
    drawn = torch.randint(0, 2, (60,), generator=torch.Generator().manual_seed(4)).repeat(4)
    trained = train_extractor(images, drawn, ("a", "b"), steps=60, widths=(8,), validation=0.3)
    assert trained.held_out % 4 == 0
    assert trained.accuracy < 0.9


def test_what_cannot_be_trained_on(digits: tuple[Tensor, Tensor]) -> None:
    images, labels = digits[0][:100], digits[1][:100]
    with pytest.raises(DataError, match="none is of the class 'ten'"):
        train_extractor(images, labels, (*DIGITS, "ten"), steps=1)
    with pytest.raises(DataError, match="labels reach to 9"):
        train_extractor(images, labels, DIGITS[:5], steps=1)
    with pytest.raises(DataError, match="classes are named"):
        train_extractor(images[:1].repeat(9, 1, 1, 1), labels[:9], DIGITS, steps=1)
    with pytest.raises(InputError, match="network of FID"):
        train_extractor(images, labels, DIGITS, name="inception", steps=1)
    for wrong in (images.float(), images[0]):
        with pytest.raises(ValueError, match="images"):
            train_extractor(wrong, labels, DIGITS, steps=1)
    with pytest.raises(ValueError, match="labels"):
        train_extractor(images, labels[:5], DIGITS, steps=1)
    with pytest.raises(ValueError, match="validation"):
        train_extractor(images, labels, DIGITS, steps=1, validation=0)
