"""Augmented images per second on one core, beside torchvision image by image and, where it is installed, kornia.

    python benchmarks/augmentation_speed.py --device cpu

All three make a random resized crop, flips, rotations, colour jitter, blur, noise and erasing, each image with numbers of its own, from the
bytes of a batch to bytes. kornia's brightness and contrast are others than torchvision's, which costs about the same. Sides take turns.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import torch
from harness import spread, write_result
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2

from raygen.augmentation.policy import augmented
from raygen.models.draws import Draws
from raygen.spec.data.augmentation import ResolvedAugmentation

POLICY = {
    "crop": {"type": "Resized", "scale": [0.5, 1]},
    "flip": {},
    "rotate": {"degrees": 15},
    "colourJitter": {"brightness": 0.3, "contrast": 0.3, "saturation": 0.3, "hue": 0.1},
    "blur": {"sigma": [0.1, 2], "probability": 0.3},
    "noise": {"sigma": 0.05},
    "erasing": {},
}
KERNEL = 13
"""Pixels of the blur's kernel: three of the largest sigma to each side."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--images", type=int, default=128, help="images in a batch (default: 128)")
    parser.add_argument("--size", type=int, default=32, help="height and width in pixels (default: 32)")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(arguments.device)
    shape = (arguments.images, 3, arguments.size, arguments.size)
    images = torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    images = images.to(device)
    sides: dict[str, Callable[[Tensor, int], Tensor]] = {
        "raygen": _raygen(),
        "torchvision": _torchvision(arguments.size),
    }
    if find_spec("kornia"):
        sides["kornia"] = _kornia(arguments.size)
    times: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(-1, arguments.rounds):
        for name, change in sides.items():
            began = time.perf_counter()
            change(images, number + 1)[0].cpu()
            if number >= 0:
                times[name].append(arguments.images / (time.perf_counter() - began))
    figures = {name: spread(rates) for name, rates in times.items()}
    document = {
        "shape": list(shape),
        "device": arguments.device,
        "policy": POLICY,
        "images_per_second": figures,
    }
    write_result("augmentation_speed", document)
    print(json.dumps(figures, indent=1))


def _raygen() -> Callable[[Tensor, int], Tensor]:
    spec = ResolvedAugmentation.model_validate_json(json.dumps(POLICY))
    domain: Any = SimpleNamespace(channels=3, classes=())

    def change(images: Tensor, step: int) -> Tensor:
        draws = Draws((0, 2, step), range(len(images)), images.device)
        return augmented(spec, domain, {"images": images}, draws, _no_partners)["images"]

    return change


def _no_partners() -> Any:
    raise AssertionError("nothing is mixed")


def _torchvision(size: int) -> Callable[[Tensor, int], Tensor]:
    policy = v2.Compose(
        [
            v2.RandomResizedCrop(size, (0.5, 1.0), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.RandomRotation(15, InterpolationMode.BILINEAR),
            v2.ColorJitter(0.3, 0.3, 0.3, 0.1),
            v2.RandomApply([v2.GaussianBlur(KERNEL, (0.1, 2.0))], 0.3),
            v2.GaussianNoise(0, 0.05),
            v2.RandomErasing(0.5),
        ]
    )
    return lambda images, _: torch.stack([policy(image) for image in images])


def _kornia(size: int) -> Callable[[Tensor, int], Tensor]:
    import kornia.augmentation as K

    policy = K.AugmentationSequential(
        K.RandomResizedCrop((size, size), (0.5, 1.0)),
        K.RandomHorizontalFlip(),
        K.RandomRotation(15.0),
        K.ColorJiggle(0.3, 0.3, 0.3, 0.1),
        K.RandomGaussianBlur((KERNEL, KERNEL), (0.1, 2.0), p=0.3),
        K.RandomGaussianNoise(0.0, 0.05, p=1.0),
        K.RandomErasing(p=0.5),
    )
    return lambda images, _: policy(images.float() / 255).mul(255).round().to(torch.uint8)


if __name__ == "__main__":
    main()
