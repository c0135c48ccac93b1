"""Prepared images as batches of bytes."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from raygen.data.images.pixels import ImageShape
from raygen.data.protocol import Samples
from raygen.data.shards.files import IMAGE, LABEL, column_values, pieces_of
from raygen.data.shards.index import Shard
from raygen.data.shards.order import FLIPS, Numbers, Window, words
from raygen.data.shards.pieces import Fetch, Piece, Shards
from raygen.data.shards.store import ShardStore
from raygen.machine import cores

PARTS, LEAST_TOGETHER = 2, 8
"""Into how many parts pictures are cut for each thread that decodes, and how many each has at least."""

Pixels = NDArray[np.uint8]


class Pictures:
    """Images as PNG, one shard after the other, which are decoded when they are asked for.

    So the first batch waits until the window is fetched, and not until all of it is decoded; of workers that read the same window
    each decodes its own samples; and memory holds what shards hold.

    Args:
        shards: Of each shard the bytes of its images, (bytes,), and where each begins, and the end of the last: (images + 1,).
        sides: Channels, height and width of an image.
    """

    def __init__(self, shards: Sequence[Piece], sides: tuple[int, int, int]) -> None:
        self._shards = shards
        self._sides = sides
        self._firsts = np.cumsum([0, *(len(offsets) - 1 for _, offsets in shards)])

    def __getitem__(self, chosen: Numbers) -> Pixels:
        """Some of them, by number: (images, channels, height, width)."""
        images = np.empty((len(chosen), *self._sides), dtype=np.uint8)
        contents = self._contents(chosen)

        def decode(places: range) -> None:
            for place in places:
                images[place] = decoded(contents[place])

        size = max(-(-len(chosen) // (PARTS * cores().count)), LEAST_TOGETHER)
        parts = [range(start, min(start + size, len(chosen))) for start in range(0, len(chosen), size)]
        list(_decoding().map(decode, parts))
        return images

    def _contents(self, chosen: Numbers) -> list[bytes]:
        """The files of some of them."""
        numbers = np.searchsorted(self._firsts, chosen, side="right") - 1
        found = []
        for number, place in zip(numbers.tolist(), (chosen - self._firsts[numbers]).tolist(), strict=True):
            content, offsets = self._shards[number]
            found.append(content[offsets[place] : offsets[place + 1]].tobytes())
        return found


@cache
def _decoding() -> ThreadPoolExecutor:
    """Threads that decode, one for each core."""
    return ThreadPoolExecutor(cores().count, thread_name_prefix="decode")


@dataclass(frozen=True)
class LoadedImages:
    """The images of some shards, one shard after the other.

    Attributes:
        images: (images, channels, height, width).
        labels: (images,); empty for images without classes.
        mirrored: Which of them are mirrored: (images,). None mirrors none.
    """

    images: Pixels | Pictures
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
        return self._images(table.column(IMAGE)), self._labels(table)

    def held(self, table: pa.Table) -> Piece:
        """The arrays; of images as PNG their bytes, where each begins, and labels, as `Pictures` has them."""
        if self.encoding == "Raw":
            return self(table)
        return *pieces_of(table.column(IMAGE)), self._labels(table)

    def size(self, shard: Shard) -> int:
        """How large they are, in bytes."""
        return shard.rows * (math.prod(self._sides) + 8)

    @property
    def _sides(self) -> tuple[int, int, int]:
        return self.shape.channels, self.shape.height, self.shape.width

    def _labels(self, table: pa.Table) -> NDArray[np.int64]:
        labels = column_values(table.column(LABEL))[0] if self.shape.classes else np.empty(0)
        return labels.astype(np.int64, copy=False)

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
        """The images of a window's shards, all of which were decoded, or none."""
        shape, count = self._shape, sum(window.counts)
        sides = shape.channels, shape.height, shape.width
        labels = np.zeros(count if shape.classes else 0, dtype=np.int64)
        images = np.empty((0, *sides), dtype=np.uint8)
        pictures = list[Piece]()
        first = 0
        for rows, (*theirs, classes) in zip(window.counts, pieces, strict=True):
            if len(theirs) > 1:
                pictures.append(tuple(theirs))
            else:
                images = images if first else np.empty((count, *sides), dtype=np.uint8)
                images[first : first + rows] = theirs[0]
            if shape.classes:
                labels[first : first + rows] = classes
            first += rows
        held = Pictures(pictures, sides) if pictures else images
        if self._flip is None:
            return LoadedImages(held, labels)
        coins = words(count, self._flip, FLIPS, window.epoch, window.number)
        return LoadedImages(held, labels, coins >> np.uint64(63) == 1)

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
