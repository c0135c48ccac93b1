"""Copies are found under each corruption, and other failures of a model are not taken for them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from raygen.evaluation.memorisation import CopyFinder, Features, find_copies
from raygen.evaluation.memorisation.copies import verdict
from raygen.evaluation.memorisation.pixels import blurred

COUNT = 20


def levels(images: Tensor) -> Tensor:
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)


def noise(images: Tensor) -> Tensor:
    return torch.randn(images.shape, generator=torch.Generator().manual_seed(0))


CORRUPTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "same": lambda soft: soft,
    "mirrored": lambda soft: soft.flip(-1),
    "darker": lambda soft: 0.8 * soft + 0.1,
    "moved": lambda soft: soft.roll((2, -1), (-1, -2)),
    "cropped": lambda soft: F.interpolate(soft[..., 2:, :26], size=(28, 28), mode="bilinear"),
    "blurred": lambda soft: blurred(soft, 0.7),
    "noisy": lambda soft: soft + 0.1 * noise(soft),
}


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_copies_are_found_whatever_was_done_to_them(finder: CopyFinder, training: Tensor, name: str) -> None:
    found = finder.find(levels(CORRUPTIONS[name](training[:COUNT].float() / 255)))
    assert found.flagged.sum() >= 0.95 * COUNT
    assert (found.nearest == torch.arange(COUNT))[found.flagged].all()
    assert found.alarm
    assert found.low < found.share <= found.high <= 1


def test_real_images_raise_no_alarm(finder: CopyFinder, fresh: Tensor) -> None:
    found = finder.find(fresh)
    assert found.share < 0.04
    assert not found.alarm


def test_some_copies_among_real_images_raise_it(finder: CopyFinder, fresh: Tensor, training: Tensor) -> None:
    planted = torch.cat([fresh[:150], training[:10]])
    found = finder.find(planted)
    assert found.alarm
    assert found.flagged[150:].all()
    assert set(found.most_suspicious(10).tolist()) == set(range(150, 160))


@pytest.mark.parametrize("kind", ["few classes", "typical", "blurred", "noisy", "averaged", "again"])
def test_other_failures_raise_none(
    finder: CopyFinder, digits: tuple[Tensor, Tensor], fresh: Tensor, kind: str
) -> None:
    labels, soft = digits[1][650:], fresh.float() / 255
    if kind == "few classes":
        samples = fresh[labels < 3]
    elif kind == "typical":
        samples = torch.cat([nearest_to_mean(fresh[labels == label]) for label in range(10)])
    elif kind == "blurred":
        samples = levels(blurred(soft[:100], 1.5))
    elif kind == "noisy":
        samples = levels(soft[:100] + 0.3 * noise(soft[:100]))
    elif kind == "averaged":
        flat = soft.flatten(1)
        samples = levels(soft[torch.cdist(flat[:100], flat).topk(4, largest=False).indices].mean(dim=1))
    else:
        samples = fresh[:5].repeat(30, 1, 1, 1)
    assert not finder.find(samples).alarm


def nearest_to_mean(images: Tensor) -> Tensor:
    away = (images.float() - images.float().mean(dim=0)).flatten(1).norm(dim=1)
    return images[away.argsort()[:8]]


def test_it_is_the_same_each_time_and_for_each_sample_alone(
    finder: CopyFinder, fresh: Tensor, training: Tensor
) -> None:
    both = torch.cat([fresh[:10], training[:10]])
    found, again = finder.find(both), finder.find(both)
    assert torch.equal(found.p_value, again.p_value)
    alone = finder.find(both[10:])
    assert torch.equal(alone.nearest, found.nearest[10:])
    assert torch.equal(alone.p_value, found.p_value[10:])


def test_features_find_what_looks_do_not(training: Tensor, fresh: Tensor) -> None:
    # An extractor that knows the number of each image, whatever it looks like.
    known = torch.eye(150)
    features = Features(known[:10], known, torch.rand(100, 150))
    found = find_copies(training[:10], training[:150], fresh[:100], features=features)
    assert torch.equal(found.nearest, torch.arange(10))
    assert found.flagged.all()


def test_images_in_colour_and_of_other_sides_are_taken() -> None:
    generator = torch.Generator().manual_seed(0)
    soft = blurred(torch.rand(220, 3, 20, 40, generator=generator)[..., :20], 2.0)
    soft = levels((soft - soft.mean()) * 4 + 0.5)
    wide = F.interpolate(soft.float(), size=(24, 40), mode="bilinear").to(torch.uint8)
    found = find_copies(torch.cat([wide[:10], wide[200:]]), wide[:100], wide[100:200], rate=0.02)
    assert found.flagged[:10].all()
    assert found.flagged[10:].sum() <= 3


def test_images_of_one_colour_are_no_copies(finder: CopyFinder) -> None:
    found = finder.find(torch.full((3, 1, 28, 28), 7, dtype=torch.uint8))
    assert not found.flagged.any()


def test_many_samples_of_one_image_count_once() -> None:
    p_value = torch.full((500,), 0.5)
    p_value[100:] = 1 / 1001
    nearest = torch.arange(500).clamp(max=100)
    found = verdict(nearest, torch.ones(500), p_value, held_out=1000)
    assert found.share == 0.8
    assert (found.suspects, found.seen) == (1, 101)
    assert not found.alarm


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"generated": torch.zeros(3, 1, 28, 28)}, "generated images are torch.float32"),
        ({"generated": torch.zeros(0, 1, 28, 28, dtype=torch.uint8)}, "at least 1 generated"),
        ({"generated": torch.zeros(3, 1, 32, 32, dtype=torch.uint8)}, "cannot be compared"),
        ({"held_out": torch.zeros(9, 1, 28, 28, dtype=torch.uint8)}, "at least 100 held-out"),
        ({"training": torch.zeros(9, 1, 28, 28, dtype=torch.uint8)}, "at least 26 training"),
        ({"rate": 0.0001}, "needs at least"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    training: Tensor, fresh: Tensor, changes: dict[str, Tensor], words: str
) -> None:
    given = {"generated": fresh, "training": training, "held_out": fresh} | changes
    with pytest.raises(ValueError, match=words):
        find_copies(given.pop("generated"), given.pop("training"), given.pop("held_out"), **given)  # type: ignore[arg-type]
