"""Augmentation on a device: what is drawn on the host is the processor's, and no cutting of a step changes it."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from raygen.augmentation.policy import augmented
from raygen.models.draws import Draws
from raygen.spec.data.augmentation import ResolvedAugmentation

DRAWN_ON_THE_HOST: dict[str, Any] = {
    "crop": {"type": "Resized", "scale": [0.3, 1]},
    "flip": {},
    "rotate": {"degrees": 30},
    "affine": {"translate": [0.2, 0.2], "scale": [0.8, 1.2], "shear": [10, 10]},
    "colourJitter": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.2},
    "blur": {},
    "erasing": {},
}


def make(device: str, images: Tensor, first: int = 0, **more: Any) -> Tensor:
    spec = ResolvedAugmentation.model_validate_json(json.dumps(DRAWN_ON_THE_HOST | more))
    place = torch.device(device)
    draws = Draws((1, 2, 3), range(first, first + len(images)), place)
    domain: Any = SimpleNamespace(channels=3, classes=())
    partners: Any = None
    return augmented(spec, domain, {"images": images.to(place)}, draws, partners)["images"].cpu()


def images_of(count: int) -> Tensor:
    coarse = torch.rand((count, 3, 4, 4), generator=torch.Generator().manual_seed(0))
    return (torch.nn.functional.interpolate(coarse, (24, 24), mode="bilinear") * 255).to(torch.uint8)


def test_a_device_makes_of_images_what_a_processor_makes(device: str) -> None:
    images = images_of(64)
    apart = (make(device, images).int() - make("cpu", images).int()).abs()
    assert float((apart > 1).float().mean()) < 0.001


def test_how_a_step_is_cut_changes_no_level_by_more_than_rounding(device: str) -> None:
    images = images_of(50)
    whole = make(device, images, noise={"sigma": 0.1})
    parts = [
        make(device, images[start : start + 7], start, noise={"sigma": 0.1}) for start in range(0, 50, 7)
    ]
    assert int((torch.cat(parts).int() - whole.int()).abs().max()) <= 1
