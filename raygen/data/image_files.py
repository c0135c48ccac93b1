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

from raygen import machine
from raygen.data.compressed import unpacked
from raygen.data.decoding import (
    HEAD_BYTES,
    OTHER_SUFFIXES,
    PILLOW,
    READ_ERRORS,
    READABLE,
    SUFFIXES,
    decode,
    is_image,
)
from raygen.data.files import AnyFile, File, contents, find_files
from raygen.data.parquet import parquet_rows
from raygen.data.progress import Progress
from raygen.data.remarks import Remarks
from raygen.errors import DataError
from raygen.spec import Images, Source

Pixels = NDArray[np.uint8]

_IDX_IMAGES, _IDX_LABELS = 0x803, 0x801


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
    encoded: bytes | AnyFile
    label: Any


def read_images(
    sources: Sequence[Source],
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
                f"its images are {_shape(part.pixels)}, and those of {sources[0].uri} are {_shape(parts[0].pixels)}",
                where=source.uri,
                remedy="Give spec.data.images.size and mode, so that all become the same.",
            )
    labels = None
    if any(part.labels is not None for part in parts):
        labels = [label for part in parts for label in part.labels or [None] * len(part.pixels)]
    pixels = parts[0].pixels if len(parts) == 1 else np.concatenate([part.pixels for part in parts])
    return Labelled(pixels, labels)


def _shape(pixels: Pixels) -> str:
    _, channels, height, width = pixels.shape
    return f"{width}x{height} {'grey' if channels == 1 else 'RGB'}"


def _decoded(source: Source, base: Path, spec: Images, remarks: Remarks, progress: Progress) -> Labelled:
    if source.format == "ImageFolder":
        items = _folder_items(source, base, remarks)
    else:
        items = [_Item(row.name, row.encoded, row.label) for row in parquet_rows(source, base, remarks)]
    pixels: Pixels | None = None
    for number, (item, encoded) in enumerate(zip(items, _encoded(items), strict=True)):
        progress.at("decoding images", number, len(items))
        image = _fitted(decode(encoded, item.name, spec, remarks), spec)
        if pixels is None:
            first, shape = item.name, image.shape
            _check_memory(len(items), image.nbytes, source.uri)
            pixels = np.empty((len(items), *shape), dtype=np.uint8)
        if image.shape != shape:
            raise DataError(
                f"the image is {_shape(image[None])}, and {first} is {_shape(pixels[:1])}",
                where=item.name,
                remedy="Give spec.data.images.size and mode, so that all become the same.",
            )
        pixels[number] = image
    if pixels is None:
        raise _no_images(source, remarks)
    labels = [item.label for item in items]
    return Labelled(pixels, None if all(label is None for label in labels) else labels)


def _no_images(source: Source, remarks: Remarks) -> DataError:
    skipped = "".join(f"; {remark}" for remark in remarks.all())
    return DataError(f"there are no images{skipped}", where=source.uri, remedy=f"Give {READABLE} images.")


def _check_memory(count: int, size: int, where: str) -> None:
    needed, memory = 2 * count * size, machine.memory()
    if needed > memory.free:
        raise DataError(
            f"{count:,} images need {needed / 2**30:.1f} GiB of memory while they are read; {memory}",
            where=where,
            remedy="Lower spec.data.images.size, give fewer files, or use a machine with more memory.",
        )


def _encoded(items: Sequence[_Item]) -> Iterator[bytes]:
    """The encoded images; those in files are read in passing."""
    files = contents([item.encoded for item in items if not isinstance(item.encoded, bytes)])
    return (item.encoded if isinstance(item.encoded, bytes) else next(files) for item in items)


def _fitted(image: Image.Image, spec: Images) -> Pixels:
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


def _folder_items(source: Source, base: Path, remarks: Remarks) -> list[_Item]:
    files = [file for file in find_files(source, base, remarks) if _is_chosen(file, remarks)]
    if not files:
        raise _no_images(source, remarks)
    classes = all(len(file.inner) > 1 for file in files)
    return [_Item(str(file), file, file.inner[0] if classes else None) for file in files]


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
    raw = [_idx_array(path, _IDX_IMAGES, 3) for path in paths]
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
        labels = _idx_array(path, _IDX_LABELS, 1).tolist()
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
    return np.stack([_fitted(Image.fromarray(image[0]).convert(mode), spec) for image in pixels])


def _idx_array(path: AnyFile, magic: int, dimensions: int) -> Pixels:
    """An array of unsigned bytes: magic number, sizes as big-endian 32-bit numbers, then the values."""
    try:
        content = path.read()
        data = unpacked(content, str(path))
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
