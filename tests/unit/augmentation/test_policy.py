"""Every change and all of them together: as torchvision makes them, and the same however a step is cut."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from raygen.augmentation.policy import augmented, changes_of
from raygen.models.draws import Draws
from raygen.models.protocol import Batch
from raygen.spec.data.augmentation import ResolvedAugmentation
from tests.budget import examples
from tests.unit.augmentation.oracle import expected

CPU = torch.device("cpu")
WHOLE: dict[str, Any] = {
    "crop": {"type": "Resized", "scale": [0.3, 1.0]},
    "flip": {"horizontal": 0.5, "vertical": 0.3},
    "rotate": {"degrees": 30, "probability": 0.8},
    "affine": {"degrees": 10, "translate": [0.2, 0.1], "scale": [0.7, 1.3], "shear": [20, 10]},
    "colourJitter": {"brightness": 0.4, "contrast": 0.5, "saturation": 0.6, "hue": 0.2, "probability": 0.9},
    "blur": {"sigma": [0.1, 1.5], "probability": 0.5},
    "noise": {"sigma": 0.05, "probability": 0.7},
    "erasing": {"probability": 0.5, "level": 127},
}
SINGLE: list[dict[str, Any]] = [
    *({name: block} for name, block in WHOLE.items()),
    {"crop": {"type": "Padded", "padding": 5}},
    {"crop": {"type": "Padded", "padding": 3, "border": "Edge"}},
    {"crop": {"type": "Padded", "padding": 4, "border": "Reflect"}},
    {"crop": {"type": "Resized", "ratio": [3, 4]}},
    {"affine": {"scale": [0.5, 2]}},
    {"affine": {"translate": [0.5, 0.5]}},
    {"colourJitter": {"brightness": 2}},
    {"colourJitter": {"contrast": 1}},
    {"colourJitter": {"saturation": 1}},
    {"colourJitter": {"hue": 0.5}},
]


class Shape:
    classes = ("a", "b")

    def __init__(self, images: Tensor) -> None:
        self.channels, self.height, self.width = images.shape[1:]


def policy(**blocks: Any) -> ResolvedAugmentation:
    return ResolvedAugmentation.model_validate_json(json.dumps(blocks))


def images_of(count: int, channels: int = 3, height: int = 16, width: int = 20, seed: int = 0) -> Tensor:
    """Smooth colours with edges in them, and a grey corner, where hue and saturation have no meaning."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand((count, channels, 4, 4), generator=generator)
    images = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear") * 255
    images[:, :, : height // 3, : width // 3] = 90.0
    images[:, :, height // 2 :, width // 2] = 255.0
    return images.round().to(torch.uint8)


def make(spec: ResolvedAugmentation, images: Tensor, first: int = 0, step: int = 1) -> Tensor:
    draws = Draws((3, 2, step), range(first, first + len(images)), CPU)
    labels = torch.arange(len(images))
    batch: Batch = {"images": images, "labels": labels}

    def partners() -> tuple[Batch, Draws]:
        return (
            {"images": images.flip(3), "labels": labels + 1},
            Draws((3, 3, step), draws.samples, CPU),
        )

    return augmented(spec, Shape(images), batch, draws, partners)["images"]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("blocks", [*SINGLE, WHOLE], ids=lambda blocks: "-".join(blocks))
def test_names_mean_what_they_mean_in_torchvision(blocks: dict[str, Any], channels: int) -> None:
    images = images_of(24, channels)
    spec = policy(**blocks)
    found = make(spec, images)
    changes = list(changes_of(spec, images.shape, Draws((3, 2, 1), range(24), CPU)))
    wanted = expected(changes, images)
    assert found.dtype == torch.uint8
    distance = (found.int() - wanted.int()).abs()
    # Both round once; what lies between two levels may fall either way.
    assert int(distance.max()) <= 1
    assert float((distance > 0).float().mean()) < 0.01
    if blocks.keys() != {"colourJitter"} or channels == 3:
        assert not torch.equal(found, images)


@examples(12)
@given(
    sizes=st.lists(st.integers(1, 20), min_size=2, max_size=4),
    step=st.integers(1, 3),
    channels=st.sampled_from([1, 3]),
    mixing=st.sampled_from([None, "MixUp", "CutMix"]),
)
def test_an_image_becomes_the_same_bits_however_a_step_is_cut(
    sizes: list[int], step: int, channels: int, mixing: str | None
) -> None:
    blocks = WHOLE | ({"mixing": {"type": mixing, "alpha": 0.7, "probability": 0.8}} if mixing else {})
    images = images_of(sum(sizes), channels)
    whole = make(policy(**blocks), images, step=step)
    start, parts = 0, []
    for size in sizes:
        parts.append(make(policy(**blocks), images[start : start + size], start, step))
        start += size
    assert torch.equal(torch.cat(parts), whole)


def test_steps_differ_and_repeat() -> None:
    images = images_of(8)
    assert torch.equal(make(policy(**WHOLE), images), make(policy(**WHOLE), images))
    assert not torch.equal(make(policy(**WHOLE), images), make(policy(**WHOLE), images, step=2))


@pytest.mark.parametrize("name", ["rotate", "affine", "colourJitter", "blur", "noise", "erasing"])
def test_a_change_comes_as_often_as_asked(name: str) -> None:
    images = images_of(400, height=8, width=8)
    found = make(policy(**{name: WHOLE[name] | {"probability": 0.25}}), images)
    share = float((found != images).flatten(1).any(dim=1).float().mean())
    assert 0.15 < share < 0.35


def test_flips_come_as_often_as_asked_and_change_nothing_else() -> None:
    images = images_of(500, height=6, width=6)
    found = make(policy(flip={"horizontal": 0.3, "vertical": 0}), images)
    is_same = (found == images).flatten(1).all(dim=1)
    is_mirrored = (found == images.flip(3)).flatten(1).all(dim=1)
    assert bool((is_same | is_mirrored).all())
    assert 0.22 < float(is_mirrored.float().mean()) < 0.38


def test_changes_have_the_given_size() -> None:
    spec = policy(
        crop={"type": "Resized", "scale": [0.25, 0.5], "ratio": [1, 1]},
        rotate={"degrees": 15},
        erasing={"scale": [0.1, 0.2], "ratio": [1, 1], "probability": 1},
    )
    crop, rotation, erasure = list(
        changes_of(spec, torch.Size((300, 3, 40, 40)), Draws((1, 2, 1), range(300), CPU))
    )
    areas = [box.height * box.width / 1600 for box in crop.boxes]  # type: ignore[attr-defined]
    assert 0.22 < min(areas) < 0.28
    assert 0.45 < max(areas) < 0.53
    angles = [one.angle for one in rotation.maps]  # type: ignore[attr-defined]
    assert -15 <= min(angles) < -13
    assert 13 < max(angles) <= 15
    covered = [box.height * box.width / 1600 for box in erasure.boxes]  # type: ignore[attr-defined]
    assert 0.08 < min(covered) < max(covered) < 0.22
    assert len({(box.top, box.left) for box in crop.boxes}) > 100  # type: ignore[attr-defined]


@pytest.mark.parametrize("shape", [(4, 1), (1, 4), (1, 1), (31, 4)])
def test_thin_images_are_changed_too(shape: tuple[int, int]) -> None:
    images = images_of(6, 3, *shape)
    for border in ("Black", "Edge", "Reflect"):
        blocks = WHOLE | {"crop": {"type": "Padded", "padding": 9, "border": border}}
        blocks["rotate"] = {"degrees": 90, "border": border}
        assert make(policy(**blocks), images).shape == images.shape


def test_white_stays_white_where_nothing_comes_in() -> None:
    images = torch.full((16, 1, 12, 12), 255, dtype=torch.uint8)
    blocks = {name: WHOLE[name] for name in ("crop", "flip", "blur")}
    spec = policy(
        **blocks, rotate={"degrees": 180, "border": "Reflect"}, affine={"degrees": 40, "border": "Edge"}
    )
    assert torch.equal(make(spec, images), images)
