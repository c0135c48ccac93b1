"""Pictures of what a model makes."""

from __future__ import annotations

import io
import math

import torch
from PIL import Image
from torch import Tensor

PADDING = 2
"""Between the images of a grid, in pixels."""


def to_bytes(images: Tensor) -> Tensor:
    """Images from -1..1, floating, to 0..255, uint8; what is outside is cut off."""
    return images.detach().float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)


def grid(images: Tensor, columns: int | None = None) -> bytes:
    """Images side by side, row by row, as one PNG.

    Args:
        images: (count, channels, height, width), uint8, on any device; one channel is grey, three are colour.
        columns: Images in a row. Default: about as many as there are rows.
    """
    images = images.cpu()
    count, channels, height, width = images.shape
    columns = min(columns or math.ceil(math.sqrt(count)), count)
    rows = math.ceil(count / columns)
    canvas = torch.zeros(
        channels,
        rows * (height + PADDING) + PADDING,
        columns * (width + PADDING) + PADDING,
        dtype=torch.uint8,
    )
    for number, image in enumerate(images):
        top = PADDING + number // columns * (height + PADDING)
        left = PADDING + number % columns * (width + PADDING)
        canvas[:, top : top + height, left : left + width] = image
    pixels = canvas[0] if channels == 1 else canvas.permute(1, 2, 0)
    buffer = io.BytesIO()
    Image.fromarray(pixels.contiguous().numpy()).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
