"""Reads images and their labels into memory, whatever their format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from raygen.data.images.decoding import PILLOW, decode
from raygen.data.memory import check_files, check_memory
from raygen.data.progress import Progress
from raygen.data.records.idx import IMAGES, array_of, check_count, labels_of
from raygen.data.records.parts import WHOLE, Part, parts_of, read_part
from raygen.data.records.record import BrokenRecord, Record
from raygen.data.records.whole_files import no_images
from raygen.data.remarks import Remarks
from raygen.data.sources.files import find_files
from raygen.errors import DataError
from raygen.spec import Images, Source
from raygen.spec.data.sources import ResolvedSource

Pixels = NDArray[np.uint8]

_BLOCK = 64
"""Images that memory is taken for at a time, where there are more than were expected."""


@dataclass(frozen=True)
class Labelled:
    """Images of one size with their labels.

    Attributes:
        pixels: (images, channels, height, width).
        labels: One for each image, as the source has it; None for an image without. None where no image has one.
    """

    pixels: Pixels
    labels: Sequence[Any] | None


def read_images(
    sources: Sequence[ResolvedSource],
    base: Path,
    images: Images | None,
    remarks: Remarks | None = None,
    progress: Progress | None = None,
) -> Labelled:
    """All images of these sources, in order; files of a folder or glob in the order of their paths.

    Args:
        sources: Where to read.
        base: Folder that relative paths start from.
        images: How they become images of one size; None takes them as they are.
        remarks: Takes what is skipped or converted.
        progress: Told of, where it takes long.

    Raises:
        DataError: something is missing, damaged, or of another size or mode than the others.
    """
    spec = images or Images()
    remarks, progress = remarks or Remarks(), progress or Progress()
    parts = [
        _idx(source, base, spec, remarks)
        if source.format == "Idx"
        else _decoded(source, base, spec, remarks, progress)
        for source in sources
    ]
    first = parts[0].pixels.shape[1:]
    for source, part in zip(sources, parts, strict=True):
        if part.pixels.shape[1:] != first:
            raise DataError(
                f"its images are {shape_in_words(part.pixels.shape[1:])}, and those of {sources[0].uri} are {shape_in_words(first)}",
                where=source.uri,
                remedy="Give spec.data.images.size and mode, so that all become the same.",
            )
    labels = None
    if any(part.labels is not None for part in parts):
        labels = [label for part in parts for label in part.labels or [None] * len(part.pixels)]
    pixels = parts[0].pixels if len(parts) == 1 else np.concatenate([part.pixels for part in parts])
    return Labelled(pixels, labels)


def shape_in_words(shape: Sequence[int]) -> str:
    """Channels, height and width of an image, as 12x8 RGB."""
    channels, height, width = shape
    return f"{width}x{height} {'grey' if channels == 1 else 'RGB'}"


def _decoded(
    source: ResolvedSource, base: Path, spec: Images, remarks: Remarks, progress: Progress
) -> Labelled:
    parts = parts_of([source], base, remarks, WHOLE)
    count = sum(part.records or 0 for part in parts)
    images, labels, first, checked = _Stack(count), list[Any](), "", 0
    for number, record in enumerate(_records(parts, source, base, remarks)):
        progress.at("decoding images", number, max(count, number))
        image = fitted(decode(_encoded(record), record.where, spec, remarks), spec)
        if not images.count:
            first = record.where
        elif image.shape != images.shape:
            raise DataError(
                f"the image is {shape_in_words(image.shape)}, and {first} is {shape_in_words(images.shape)}",
                where=record.where,
                remedy="Give spec.data.images.size and mode, so that all become the same.",
            )
        if images.count >= checked:
            # Tars do not say how many they hold.
            checked = max(count, 2 * images.count, 1)
            _check_memory(max(count, images.count + 1), image.nbytes, source.uri)
        images.add(image)
        labels.append(record.label)
    if not images.count:
        raise no_images(source, remarks)
    return Labelled(images.pixels(), None if all(label is None for label in labels) else labels)


def _records(parts: Sequence[Part], source: ResolvedSource, base: Path, remarks: Remarks) -> Iterator[Record]:
    for part in parts:
        for record in read_part(part, source, base, remarks, WHOLE):
            if isinstance(record, BrokenRecord):
                raise record.error()
            yield record


def _encoded(record: Record) -> bytes:
    if isinstance(record.content, str):
        raise TypeError("a record of images holds text")
    return record.content


class _Stack:
    """Images of one size, put into one array; there may be more or fewer than expected.

    Attributes:
        count: How many there are.
        shape: Of each: (channels, height, width).
    """

    def __init__(self, expected: int) -> None:
        self.count = 0
        self.shape: tuple[int, ...] = ()
        self._expected = max(expected, 1)
        self._blocks: list[Pixels] = []
        self._left = 0

    def add(self, image: Pixels) -> None:
        """Adds one of the same size as the others."""
        if not self._left:
            self.shape = image.shape
            self._left = self._expected - self.count if self.count < self._expected else _BLOCK
            self._blocks.append(np.empty((self._left, *image.shape), dtype=np.uint8))
        self._blocks[-1][-self._left] = image
        self._left -= 1
        self.count += 1

    def pixels(self) -> Pixels:
        """All of them: (images, channels, height, width)."""
        whole = self._blocks[0] if len(self._blocks) == 1 else np.concatenate(self._blocks)
        return whole[: self.count]


def _check_memory(count: int, size: int, where: str) -> None:
    remedy = "Lower spec.data.images.size, give fewer files"
    check_memory(f"{count:,} images need", 2 * count * size, where, remedy)


def fitted(image: Image.Image, spec: Images) -> Pixels:
    """The image in the size that is asked for, as (channels, height, width)."""
    size = spec.size
    if size is not None and image.size != (size, size):
        if spec.fit == "Crop":
            image = ImageOps.fit(image, (size, size), method=Image.Resampling.LANCZOS)
        else:
            if max(image.size) > size:
                image = ImageOps.contain(image, (size, size), method=Image.Resampling.LANCZOS)
            left, top = (size - image.width) // 2, (size - image.height) // 2
            image = ImageOps.expand(
                image, (left, top, size - image.width - left, size - image.height - top), fill=0
            )
    pixels = np.asarray(image, dtype=np.uint8)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _idx(source: Source, base: Path, spec: Images, remarks: Remarks) -> Labelled:
    paths = find_files(source, base, remarks)
    check_files(paths, 2, source.uri)
    raw = [array_of(path, IMAGES, 3, remarks) for path in paths]
    shapes = {array.shape[1:] for array in raw}
    if len(shapes) > 1:
        raise DataError(
            f"the files hold images of different sizes: {sorted(shapes)}",
            where=source.uri,
            remedy="Give each size as a source of its own, and spec.data.images.size.",
        )
    pixels = np.concatenate(raw)[:, None]
    labels = labels_of(source, base, remarks)
    if labels is not None:
        check_count(len(labels), len(pixels), source)
    return Labelled(_converted(pixels, spec), labels)


def _converted(pixels: Pixels, spec: Images) -> Pixels:
    height, width = pixels.shape[2:]
    if (spec.size is None or (height, width) == (spec.size, spec.size)) and spec.mode != "RGB":
        return pixels
    mode = PILLOW[spec.mode or "Grey"]
    return np.stack([fitted(Image.fromarray(image[0]).convert(mode), spec) for image in pixels])
