"""What torchvision makes of one image, given what was drawn for it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as V

from raygen.augmentation.change import LEVELS, Change
from raygen.augmentation.colour import Brightness, Contrast, Hue, Saturation
from raygen.augmentation.geometry import Mirror, Resize, Shift, Warp
from raygen.augmentation.pixels import Cover, Grain, Smooth

BILINEAR = InterpolationMode.BILINEAR
PADDINGS = {"Black": "constant", "Edge": "edge", "Reflect": "reflect"}


def expected(changes: list[Change], images: Tensor) -> Tensor:
    """Bytes (N, C, H, W) after these changes, image by image, from 0 to 1 as torchvision has them."""
    made = []
    for row, image in enumerate(images.float() / LEVELS):
        for change in changes:
            if row in change.rows:
                image = one(change, list(change.rows).index(row), image)
        made.append(image)
    return (torch.stack(made) * LEVELS).round().clamp(0, LEVELS).to(torch.uint8)


def one(change: Any, number: int, image: Tensor) -> Tensor:
    """One image from 0 to 1 (C, H, W) after a change, of whose rows it is this one."""
    height, width = image.shape[1:]
    match change:
        case Resize():
            box = change.boxes[number]
            size = [height, width]
            return V.resized_crop(
                image, box.top, box.left, box.height, box.width, size, BILINEAR, antialias=True
            )
        case Shift():
            down, right = change.ways[number]
            most = max(abs(down), abs(right))
            wide = V.pad(image, [most], padding_mode=PADDINGS[change.border]) if most else image
            return V.crop(wide, most - down, most - right, height, width)
        case Mirror():
            return V.horizontal_flip(image) if change.dimension == 3 else V.vertical_flip(image)
        case Warp():
            one = change.maps[number]
            move, shear = [one.right, one.down], list(one.shear)
            if one.scale == 1.0 and move == [0.0, 0.0] and shear == [0.0, 0.0]:
                return V.rotate(image, -one.angle, BILINEAR)
            return V.affine(image, one.angle, move, one.scale, shear, BILINEAR)
        case Smooth():
            return V.gaussian_blur(image, 2 * change.radius + 1, change.sigmas[number])
        case Grain():
            return (image + change.noise[number] * (change.levels / LEVELS)).clamp(0, 1)
        case Cover():
            box = change.boxes[number]
            return V.erase(
                image, box.top, box.left, box.height, box.width, torch.tensor(change.level / LEVELS)
            )
    return colour(change, number, image)


def colour(change: Any, number: int, image: Tensor) -> Tensor:
    """The same for changes of colour."""
    match change:
        case Brightness():
            return V.adjust_brightness(image, change.factors[number])
        case Contrast():
            return V.adjust_contrast(image, change.factors[number])
        case Saturation():
            return V.adjust_saturation(image, change.factors[number])
        case Hue():
            return V.adjust_hue(image, change.shifts[number])
    raise AssertionError(f"there is no oracle for {change}")
