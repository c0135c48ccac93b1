"""Images as vectors that brightness and contrast do not change, and images seen through another crop.

Shapes: B images, C channels, sides of S pixels. A pose (B, 4) says which part of an image is looked at: size of the part as a share of
the image, its centre (down, right) on a scale from -1 to 1, and -1 if it is mirrored, else 1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

SIDE = 32
"""Longest side that is compared, in pixels; larger images are shrunk, which keeps their low frequencies."""

CONTENT = 0.3
"""What differs from the border by less than this share of the most, is background: noise moves no centre then."""

RADIUS = 0.5
"""Mean distance of the content from its centre, as the square root of squares, in the standard pose."""

SMALLEST, LARGEST = 0.7, 1.05
"""Parts of an image that poses show."""


def as_pixels(images: Tensor) -> Tensor:
    """From uint8 (B, C, H, W) to float32 from 0 to 1, square, (B, C, S, S) with S at most `SIDE`."""
    side = min(SIDE, max(images.shape[-2:]))
    pixels = images.float() / 255
    if images.shape[-2:] == (side, side):
        return pixels
    return F.interpolate(pixels, size=(side, side), mode="bilinear", antialias=True, align_corners=False)


def blurred(pixels: Tensor, sigma: float) -> Tensor:
    """Images (B, C, S, S) under a Gaussian of `sigma` pixels; the border goes on outside."""
    if sigma <= 0:
        return pixels
    across = _gaussian(pixels.shape[-1], sigma)
    return across @ pixels @ across.mT


def _gaussian(side: int, sigma: float) -> Tensor:
    """The blur of a line of pixels as a matrix (S, S): much faster than a convolution of so small images."""
    reach = math.ceil(3 * sigma)
    line = torch.exp(-torch.arange(-reach, reach + 1.0).square() / (2 * sigma**2))
    columns = (torch.arange(side)[:, None] + torch.arange(-reach, reach + 1)).clamp(0, side - 1)
    return torch.zeros(side, side).scatter_add_(1, columns, (line / line.sum()).expand(side, -1))


def units(pixels: Tensor) -> Tensor:
    """Vectors (B, D) of mean 0 and length 1, whose products are correlations; 0 for an image of one colour."""
    vectors = pixels.flatten(1)
    vectors = vectors - vectors.mean(dim=1, keepdim=True)
    lengths = vectors.norm(dim=1, keepdim=True)
    # A whole level of one pixel is far above this, and rounding far below.
    return torch.where(lengths > 1e-4, vectors / lengths.clamp(min=1e-4), 0.0)


def warped(pixels: Tensor, poses: Tensor) -> Tensor:
    """The parts of images (B, C, S, S) that poses (B, 4) show, as large as the images; the border goes on outside."""
    size, down, right, mirror = poses.unbind(dim=1)
    zero = torch.zeros_like(size)
    rows = torch.stack([size * mirror, zero, right, zero, size, down], dim=1).view(-1, 2, 3)
    where = F.affine_grid(rows, list(pixels.shape), align_corners=False)
    return F.grid_sample(pixels, where, align_corners=False, padding_mode="border")


def content(pixels: Tensor) -> Tensor:
    """Where the content of images (B, C, S, S) is: centre (down, right) and radius, from -1 to 1, (B, 3)."""
    soft = blurred(pixels, 1.0).mean(dim=1)
    border = torch.cat([soft[:, 0], soft[:, -1], soft[:, :, 0], soft[:, :, -1]], dim=1).median(dim=1).values
    weight = (soft - border[:, None, None]).abs()
    most = weight.amax(dim=(1, 2), keepdim=True)
    weight = (weight - CONTENT * most).clamp(min=0) + 1e-6
    weight = weight / weight.sum(dim=(1, 2), keepdim=True)
    places = (torch.arange(pixels.shape[-1]) + 0.5) * 2 / pixels.shape[-1] - 1
    rows, columns = weight.sum(dim=2), weight.sum(dim=1)
    down, right = rows @ places, columns @ places
    spread = rows @ places.square() - down.square() + columns @ places.square() - right.square()
    return torch.stack([down, right, spread.clamp(min=1e-3).sqrt()], dim=1)


def standard_pose(found: Tensor) -> Tensor:
    """Poses (B, 4) in which content (B, 3) lies in the middle and has the same radius."""
    size = (found[:, 2] / RADIUS).clamp(0.3, 1.5)
    return torch.stack([size, found[:, 0], found[:, 1], torch.ones_like(size)], dim=1)


def pose_between(shown: Tensor, whole: Tensor, mirror: float) -> Tensor:
    """Poses in which the content `whole` (B, 3) of images lies where the content `shown` (B, 3) of others does."""
    size = (whole[:, 2] / shown[:, 2]).clamp(SMALLEST, LARGEST)
    down = whole[:, 0] - size * shown[:, 0]
    right = whole[:, 1] - size * mirror * shown[:, 1]
    return torch.stack([size, down, right, torch.full_like(size, mirror)], dim=1)
