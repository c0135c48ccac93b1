"""Prepared images as batches of bytes."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from raygen.data.images.pixels import ImageShape
from raygen.data.protocol import Samples
from raygen.data.shards.files import IMAGE, LABEL, column_values
from raygen.data.shards.index import Shard
from raygen.data.shards.order import FLIPS, Numbers, Window, words
from raygen.data.shards.pieces import Fetch, Piece, Shards
from raygen.data.shards.store import ShardStore

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class LoadedImages:
    """The images of some shards, one shard after the other.

    Attributes:
        images: (images, channels, height, width).
        labels: (images,); empty for images without classes.
        mirrored: Which of them are mirrored: (images,). None mirrors none.
    """

    images: Pixels
    labels: NDArray[np.int64]
    mirrored: NDArray[np.bool_] | None = None

    def take(self, chosen: Numbers) -> Samples:
        """Some of them, by number."""
        images = self.images[chosen]
        if self.mirrored is not None:
            images = np.where(self.mirrored[chosen, None, None, None], images[..., ::-1], images)
        arrays: dict[str, NDArray[Any]] = {"images": images}
        if len(self.labels):
            arrays["labels"] = self.labels[chosen]
        return Samples(arrays)


@dataclass(frozen=True)
class ImageDecoder:
    """Makes arrays of a shard's rows: images (images, channels, height, width), and labels (images,), none without classes.

    Attributes:
        shape: Of the images.
        encoding: How they are stored: Raw or PNG.
    """

    shape: ImageShape
    encoding: str

    @property
    def columns(self) -> tuple[str, ...]:
        """What it needs of a shard."""
        return IMAGE, LABEL

    def __call__(self, table: pa.Table) -> Piece:
        """The arrays."""
        shape = self.shape
        labels = table.column(LABEL).to_numpy() if shape.classes else np.empty(0)
        return self._images(table.column(IMAGE)), labels.astype(np.int64, copy=False)

    def size(self, shard: Shard) -> int:
        """How large they are, in bytes."""
        return shard.rows * (math.prod(self._sides) + 8)

    @property
    def _sides(self) -> tuple[int, int, int]:
        return self.shape.channels, self.shape.height, self.shape.width

    def _images(self, column: pa.ChunkedArray) -> Pixels:
        if self.encoding == "Raw":
            return column_values(column)[0].reshape(-1, *self._sides)
        images = np.empty((len(column), *self._sides), dtype=np.uint8)
        for place, value in enumerate(column):
            images[place] = decoded(value.as_py())
        return images


class ImageShards(Shards[LoadedImages]):
    """Shards of images of one size.

    Args:
        store: Where they are.
        listed: Which.
        shape: Of the images.
        encoding: How they are stored: Raw or PNG.
        flip: Seed that decides which images are mirrored in an epoch; None mirrors none.
    """

    def __init__(
        self,
        store: ShardStore,
        listed: Sequence[Shard],
        shape: ImageShape,
        encoding: str,
        flip: int | None = None,
    ) -> None:
        super().__init__(listed, Fetch(store, ImageDecoder(shape, encoding)))
        self._shape = shape
        self._flip = flip

    @property
    def counts(self) -> list[int]:
        """Samples of each shard."""
        return [shard.rows for shard in self.listed]

    def assembled(self, window: Window, pieces: Iterator[Piece]) -> LoadedImages:
        """The images of a window's shards."""
        shape, count = self._shape, sum(window.counts)
        images = np.empty((count, shape.channels, shape.height, shape.width), dtype=np.uint8)
        labels = np.zeros(count if shape.classes else 0, dtype=np.int64)
        first = 0
        for some, theirs in pieces:
            end = first + len(some)
            images[first:end] = some
            labels[first : first + len(theirs)] = theirs
            first = end
        if self._flip is None:
            return LoadedImages(images, labels)
        coins = words(count, self._flip, FLIPS, window.epoch, window.number)
        return LoadedImages(images, labels, coins >> np.uint64(63) == 1)

    def in_order(self, size: int) -> Iterator[Samples]:
        """All images as the index lists them, `size` at a time, the last ones fewer."""
        left: Piece | None = None
        for shard in self.listed:
            held = self.fetch(shard)
            if left is not None:
                held = tuple(map(np.concatenate, zip(left, held, strict=True)))
            images, labels = held
            whole = len(images) - len(images) % size
            loaded = LoadedImages(images, labels)
            for start in range(0, whole, size):
                yield loaded.take(np.arange(start, start + size))
            left = images[whole:], labels[whole:]
        if left is not None and len(left[0]):
            yield LoadedImages(*left).take(np.arange(len(left[0])))


def encoded(pixels: Pixels) -> bytes:
    """A picture (channels, height, width) as PNG, without loss."""
    out = io.BytesIO()
    Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)).save(out, "PNG")
    return out.getvalue()


def decoded(content: bytes) -> Pixels:
    """The picture that `encoded` made: (channels, height, width)."""
    with Image.open(io.BytesIO(content), formats=("PNG",)) as opened:
        pixels = np.asarray(opened)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
