"""Prepared images as batches of bytes."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
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
from raygen.data.shards.store import ShardStore

Pixels = NDArray[np.uint8]
FETCHED_AT_ONCE = 4
"""Shards of a window that are fetched and unpacked at a time."""


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


class ImageShards:
    """Shards of images of one size.

    Args:
        store: Where they are.
        shards: Which.
        shape: Of the images.
        encoding: How they are stored: Raw or PNG.
        flip: Seed that decides which images are mirrored in an epoch; None mirrors none.
    """

    columns = (IMAGE, LABEL)

    def __init__(
        self,
        store: ShardStore,
        shards: Sequence[Shard],
        shape: ImageShape,
        encoding: str,
        flip: int | None = None,
    ) -> None:
        self._store = store
        self._shards = shards
        self._shape = shape
        self._encoding = encoding
        self._flip = flip
        self._threads = ThreadPoolExecutor(FETCHED_AT_ONCE, thread_name_prefix="shard")

    @property
    def counts(self) -> list[int]:
        """Samples of each shard."""
        return [shard.rows for shard in self._shards]

    def load(self, window: Window) -> LoadedImages:
        """The images of a window's shards."""
        loaded = self._load(window.shards)
        if self._flip is None:
            return loaded
        coins = words(len(loaded.images), self._flip, FLIPS, window.epoch, window.number)
        return replace(loaded, mirrored=coins >> np.uint64(63) == 1)

    def in_order(self, size: int) -> Iterator[Samples]:
        """All images as the index lists them, `size` at a time, the last ones fewer."""
        left = self._load(())
        for number in range(len(self._shards)):
            loaded = self._load((number,))
            left = LoadedImages(
                np.concatenate([left.images, loaded.images]), np.concatenate([left.labels, loaded.labels])
            )
            whole = len(left.images) - len(left.images) % size
            for start in range(0, whole, size):
                yield left.take(np.arange(start, start + size))
            left = LoadedImages(left.images[whole:], left.labels[whole:])
        if len(left.images):
            yield left.take(np.arange(len(left.images)))

    def close(self) -> None:
        """Ends the threads."""
        self._threads.shutdown(cancel_futures=True)

    def _load(self, numbers: Sequence[int]) -> LoadedImages:
        shape = self._shape
        count = sum(self._shards[number].rows for number in numbers)
        images = np.empty((count, shape.channels, shape.height, shape.width), dtype=np.uint8)
        labels = np.zeros(count if shape.classes else 0, dtype=np.int64)
        first = 0
        tables = self._threads.map(
            lambda number: self._store.table(self._shards[number], self.columns), numbers
        )
        for table in tables:
            end = first + len(table)
            self._fill(images[first:end], table)
            if shape.classes:
                labels[first:end] = table.column(LABEL).to_numpy()
            first = end
        return LoadedImages(images, labels)

    def _fill(self, images: Pixels, table: pa.Table) -> None:
        if self._encoding == "Raw":
            values, _ = column_values(table.column(IMAGE))
            images[...] = values.reshape(images.shape)
        else:
            for place, value in enumerate(table.column(IMAGE)):
                images[place] = decoded(value.as_py())


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
