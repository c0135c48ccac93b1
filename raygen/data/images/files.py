"""Reads images and their labels from folders, idx files and Parquet files."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from raygen.data.images.decoding import (
    HEAD_BYTES,
    OTHER_SUFFIXES,
    PILLOW,
    READ_ERRORS,
    READABLE,
    SUFFIXES,
    decode,
    is_image,
)
from raygen.data.memory import check_files, check_memory
from raygen.data.progress import Progress
from raygen.data.remarks import Remarks
from raygen.data.sources.compressed import unpacked
from raygen.data.sources.files import AnyFile, File, contents, find_files
from raygen.data.sources.parquet import ParquetImages
from raygen.errors import DataError
from raygen.spec import Images, Source
from raygen.spec.data.sources import ResolvedSource

Pixels = NDArray[np.uint8]

_IDX_IMAGES, _IDX_LABELS = 0x803, 0x801
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


@dataclass(frozen=True)
class _Item:
    name: str
    encoded: bytes
    label: Any


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
                f"its images are {_shape(part.pixels.shape[1:])}, and those of {sources[0].uri} are {_shape(first)}",
                where=source.uri,
                remedy="Give spec.data.images.size and mode, so that all become the same.",
            )
    labels = None
    if any(part.labels is not None for part in parts):
        labels = [label for part in parts for label in part.labels or [None] * len(part.pixels)]
    pixels = parts[0].pixels if len(parts) == 1 else np.concatenate([part.pixels for part in parts])
    return Labelled(pixels, labels)


def _shape(shape: tuple[int, ...]) -> str:
    channels, height, width = shape
    return f"{width}x{height} {'grey' if channels == 1 else 'RGB'}"


def _decoded(
    source: ResolvedSource, base: Path, spec: Images, remarks: Remarks, progress: Progress
) -> Labelled:
    if source.format == "Parquet":
        table = ParquetImages(source, base, remarks)
        count = table.images
        items: Iterator[_Item] = (_Item(row.name, row.encoded, row.label) for row in table.rows())
    else:
        files = _folder_items(source, base, remarks)
        count, items = len(files), _read(files)
    images, labels, first = _Stack(count), list[Any](), ""
    for number, item in enumerate(items):
        progress.at("decoding images", number, count)
        image = fitted(decode(item.encoded, item.name, spec, remarks), spec)
        if not images.count:
            first = item.name
            _check_memory(count, image.nbytes, source.uri)
        elif image.shape != images.shape:
            raise DataError(
                f"the image is {_shape(image.shape)}, and {first} is {_shape(images.shape)}",
                where=item.name,
                remedy="Give spec.data.images.size and mode, so that all become the same.",
            )
        images.add(image)
        labels.append(item.label)
    if not images.count:
        raise _no_images(source, remarks)
    return Labelled(images.pixels(), None if all(label is None for label in labels) else labels)


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


def _no_images(source: Source, remarks: Remarks) -> DataError:
    skipped = "".join(f"; {remark}" for remark in remarks.all())
    return DataError(f"there are no images{skipped}", where=source.uri, remedy=f"Give {READABLE} images.")


def _check_memory(count: int, size: int, where: str) -> None:
    remedy = "Lower spec.data.images.size, give fewer files"
    check_memory(f"{count:,} images need", 2 * count * size, where, remedy)


def _read(items: Sequence[tuple[AnyFile, Any]]) -> Iterator[_Item]:
    """The encoded images of files, read in passing."""
    encoded = contents([file for file, _ in items])
    return (_Item(str(file), content, label) for (file, label), content in zip(items, encoded, strict=True))


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


def _folder_items(source: Source, base: Path, remarks: Remarks) -> list[tuple[AnyFile, str | None]]:
    """The images of a folder with their labels."""
    files = [file for file in find_files(source, base, remarks) if _is_chosen(file, remarks)]
    if not files:
        raise _no_images(source, remarks)
    classes = all(len(file.inner) > 1 for file in files)
    return [(file, file.inner[0] if classes else None) for file in files]


def _is_chosen(file: AnyFile, remarks: Remarks) -> bool:
    """Whether a file is an image by its name, or on this machine by its content."""
    if file.suffix in SUFFIXES:
        return True
    if file.suffix in OTHER_SUFFIXES:
        remarks.skipped("file", f"its format is not read; {READABLE} is", str(file))
        return False
    if isinstance(file, File) and is_image(file.head(HEAD_BYTES)):
        return True
    remarks.skipped("file", "it is not an image", str(file))
    return False


def _idx(source: Source, base: Path, spec: Images, remarks: Remarks) -> Labelled:
    paths = find_files(source, base, remarks)
    check_files(paths, 2, source.uri)
    raw = [_idx_array(path, _IDX_IMAGES, 3, remarks) for path in paths]
    shapes = {array.shape[1:] for array in raw}
    if len(shapes) > 1:
        raise DataError(
            f"the files hold images of different sizes: {sorted(shapes)}",
            where=source.uri,
            remedy="Give each size as a source of its own, and spec.data.images.size.",
        )
    pixels = np.concatenate(raw)[:, None]
    labels = None
    if source.labels is not None:
        (path,) = find_files(Source(uri=source.labels), base, remarks)[:1]
        labels = _idx_array(path, _IDX_LABELS, 1, remarks).tolist()
        if len(labels) != len(pixels):
            raise DataError(
                f"there are {len(labels):,} labels for {len(pixels):,} images",
                where=str(path),
                remedy="Give the labels that belong to the images.",
            )
    return Labelled(_converted(pixels, spec), labels)


def _converted(pixels: Pixels, spec: Images) -> Pixels:
    height, width = pixels.shape[2:]
    if (spec.size is None or (height, width) == (spec.size, spec.size)) and spec.mode != "RGB":
        return pixels
    mode = PILLOW[spec.mode or "Grey"]
    return np.stack([fitted(Image.fromarray(image[0]).convert(mode), spec) for image in pixels])


def _idx_array(path: AnyFile, magic: int, dimensions: int, remarks: Remarks) -> Pixels:
    """An array of unsigned bytes: magic number, sizes as big-endian 32-bit numbers, then the values."""
    try:
        content = path.read()
        data = unpacked(content, str(path), remarks)
        found, *shape = struct.unpack(f">{1 + dimensions}I", data[: 4 * (1 + dimensions)])
    except READ_ERRORS as error:
        raise _damaged_idx(path, str(error) or type(error).__name__) from error
    size = int(np.prod(shape, dtype=object))
    if found != magic:
        raise _damaged_idx(path, f"it begins with {found:#x} instead of {magic:#x}")
    if len(data) != 4 * (1 + dimensions) + size or size == 0:
        raise _damaged_idx(path, f"it has {len(data):,} bytes for {'x'.join(map(str, shape))} values")
    return np.frombuffer(data, dtype=np.uint8, offset=4 * (1 + dimensions)).reshape(shape)


def _damaged_idx(path: AnyFile, why: str) -> DataError:
    return DataError(
        f"is not an idx file: {why}",
        where=str(path),
        remedy="Give a file in the format of MNIST; images in `uri`, labels in `labels`.",
    )
