"""Mixtures of two images: as torchvision makes them, with both labels, and their shares as drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms import v2 as T

from raygen.augmentation.mixing import Mixtures, mixtures, symmetric_beta
from raygen.models.draws import Draws
from raygen.spec.data.augmentation import Mixing

CPU = torch.device("cpu")
SIZE = 24


def drawn(count: int, kind: str, alpha: float = 1.0, probability: float = 1.0) -> Mixtures:
    spec = Mixing.model_validate({"type": kind, "alpha": alpha, "probability": probability})
    return mixtures(spec, Draws((5, 2, 1), range(count), CPU), SIZE, SIZE)


def pair(count: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (2, count, 3, SIZE, SIZE), generator=generator, dtype=torch.uint8)
    return images[0], images[1]


def test_mixup_is_the_weighted_mean() -> None:
    images, others = pair(9)
    mixed = drawn(9, "MixUp")
    # torchvision mixes each image with the one before it in the batch.
    for number, share in enumerate(mixed.shares):
        both = torch.stack([images[number], others[number]])
        wanted = (
            T.MixUp(num_classes=2).transform(both / 255, {"lam": share, "labels": None, "batch_size": 2})[0]
            * 255
        )
        torch.testing.assert_close(mixed.of(images, others)[number], wanted, atol=1e-3, rtol=0)


def test_cutmix_is_a_rectangle_of_the_other_image_and_the_share_is_the_rest_of_it() -> None:
    images, others = pair(60)
    mixed = drawn(60, "CutMix")
    found = mixed.of(images, others)
    assert mixed.boxes is not None
    for number, (share, box) in enumerate(zip(mixed.shares, mixed.boxes, strict=True)):
        corners = (box.left, box.top, box.left + box.width, box.top + box.height)
        both = torch.stack([images[number], others[number]])
        parameters = {"box": corners, "lam_adjusted": share, "labels": None, "batch_size": 2}
        assert torch.equal(found[number], T.CutMix(num_classes=2).transform(both, parameters)[0])
        assert share == pytest.approx(1 - box.height * box.width / SIZE**2)
    assert min(mixed.shares) < 0.5
    assert max(mixed.shares) > 0.9


def test_images_that_are_not_mixed_stay() -> None:
    images, others = pair(200)
    for kind in ("MixUp", "CutMix"):
        mixed = drawn(200, kind, probability=0.5)
        stays = torch.tensor([share == 1 for share in mixed.shares])
        assert 70 < int(stays.sum()) < 140
        assert torch.equal(mixed.of(images, others)[stays].float(), images[stays].float())


def test_classes_are_both_images() -> None:
    labels = torch.tensor([3, 1])
    classes = Mixtures([0.25, 1.0]).classes(labels, labels + 1)
    assert classes["labels"].tolist() == [3, 1]
    assert classes["mixed_labels"].tolist() == [4, 2]
    assert classes["label_shares"].tolist() == [0.25, 1.0]


@pytest.mark.parametrize("alpha", [0.1, 0.4, 1.0, 2.5, 20.0])
def test_shares_have_the_beta_distribution(alpha: float) -> None:
    generator = np.random.default_rng(3)
    found = np.sort([symmetric_beta(alpha, *generator.random(2)) for _ in range(20_000)])
    wanted = np.sort(generator.beta(alpha, alpha, 200_000))
    # The largest distance of the two distribution functions (Kolmogorov-Smirnov).
    ranks = np.searchsorted(wanted, found, side="right") / len(wanted)
    assert np.abs(ranks - (np.arange(len(found)) + 0.5) / len(found)).max() < 0.015


@pytest.mark.parametrize("numbers", [(0.0, 0.0), (0.0, 0.25), (1 - 2**-24, 0.25), (2**-24, 0.5)])
def test_shares_at_the_ends_are_shares(numbers: tuple[float, float]) -> None:
    for alpha in (0.01, 1.0, 100.0):
        assert 0 <= symmetric_beta(alpha, *numbers) <= 1
