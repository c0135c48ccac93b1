"""Pictures of generated images."""

from __future__ import annotations

import io

import pytest
import torch
from PIL import Image

from raygen.models.pictures import PADDING, grid, to_bytes


def opened(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png))


def test_values_become_bytes_and_are_cut_off() -> None:
    values = torch.tensor([-3.0, -1.0, 0.0, 1.0, 3.0])
    assert to_bytes(values).tolist() == [0, 0, 128, 255, 255]


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_images_stand_row_by_row(channels: int, mode: str) -> None:
    images = torch.arange(1, 6, dtype=torch.uint8)[:, None, None, None].expand(5, channels, 4, 6).contiguous()
    picture = opened(grid(images, columns=3))
    assert picture.mode == mode
    assert picture.size == (3 * (6 + PADDING) + PADDING, 2 * (4 + PADDING) + PADDING)
    for number in range(5):
        row, column = divmod(number, 3)
        pixel = picture.getpixel((PADDING + column * (6 + PADDING), PADDING + row * (4 + PADDING)))
        assert pixel == (number + 1 if channels == 1 else (number + 1,) * 3)


def test_by_default_a_grid_is_about_square() -> None:
    assert opened(grid(torch.zeros(9, 1, 8, 8, dtype=torch.uint8))).size == (3 * 10 + 2, 3 * 10 + 2)
    assert opened(grid(torch.zeros(1, 1, 8, 8, dtype=torch.uint8), columns=5)).size == (12, 12)
