"""What an extractor takes, and how an image becomes that.

Shapes: C channels, H rows, W columns.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from raygen.errors import InputError

LARGEST = 2048
"""Rows or columns that a file may ask for: more would be a mistake, and take gigabytes."""

Interpolation = Literal["bilinear", "bicubic"]
Side = Annotated[int, Field(ge=1, le=LARGEST)]


class Inputs(BaseModel):
    """The images that a network takes, and what is done to their values before."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: Literal[1, 3]
    """1 for grey, 3 for red, green and blue."""
    height: Side
    """Rows."""
    width: Side
    """Columns."""
    mean: tuple[float, ...]
    """Of each channel, where 0 is black and 1 white; it is taken off."""
    std: tuple[float, ...]
    """Of each channel; what is left is divided by it."""
    interpolation: Interpolation = "bicubic"
    """How images of other sizes are resized."""

    @model_validator(mode="after")
    def _one_of_each_channel(self) -> Self:
        if len(self.mean) != self.channels or len(self.std) != self.channels:
            raise ValueError(f"mean and std need a value for each of {self.channels} channels")
        if min(self.std) <= 0:
            raise ValueError("std must be above 0")
        return self


def check_images(images: Tensor) -> None:
    """ValueError if images are not (N, C, H, W) uint8 with 1 or 3 channels."""
    if images.dtype != torch.uint8:
        raise ValueError(f"images are {images.dtype}, and not uint8 from 0 to 255")
    if images.ndim != 4 or images.shape[1] not in (1, 3) or 0 in images.shape[2:]:
        raise ValueError(
            f"images have the shape {tuple(images.shape)}, and not (samples, 1 or 3 channels, rows, columns)"
        )


def check_channels(images: Tensor, inputs: Inputs) -> None:
    """InputError if images (N, C, H, W) have colours, and the network takes grey."""
    if images.shape[1] > inputs.channels:
        raise InputError(
            "this extractor takes grey images and would not see the colours of these",
            remedy="Take an extractor of colour images, or make these grey first.",
        )


def prepared(image: Tensor, inputs: Inputs) -> Tensor:
    """One image, or several of the same size, as a network takes them.

    Grey becomes three equal channels. Other sizes are resized by an antialiased filter, with what lies beyond black and white cut off;
    other proportions are stretched, and nothing is cropped, so that every pixel counts. Values stay float32, without a rounding
    to 8 bits in between.

    Args:
        image: (N, C, H, W) uint8, which both checks have passed.
        inputs: What the network takes.

    Returns:
        (N, C, H, W) float32 of the network's channels and size.
    """
    values = resized(image.to(torch.float32), inputs.height, inputs.width, inputs.interpolation)
    mean, std = (
        torch.tensor(part, dtype=torch.float32).view(1, -1, 1, 1) for part in (inputs.mean, inputs.std)
    )
    return (values.expand(-1, inputs.channels, -1, -1) / 255 - mean) / std


def resized(values: Tensor, height: int, width: int, interpolation: Interpolation) -> Tensor:
    """Values from 0 to 255 (N, C, H, W) in another size, antialiased; the same ones if they have it."""
    if values.shape[2:] == (height, width):
        return values
    found: Tensor = torch.nn.functional.interpolate(
        values, size=(height, width), mode=interpolation, align_corners=False, antialias=True
    )
    return found.clamp(0, 255)
