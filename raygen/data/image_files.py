"""Reads images and their labels from folders, idx files and Parquet files."""

from __future__ import annotations

import gzip
import io
import struct
import warnings
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from raygen import machine
from raygen.data.arrow import input_file, reason
from raygen.data.files import AnyFile, contents, find_files
from raygen.errors import DataError
from raygen.spec import Images, Source

Pixels = NDArray[np.uint8]
Label = int | str

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".webp"})
CONVERTIBLE = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB"})
"""Pillow's modes of 8 bits a channel or less."""
MAX_PIXELS = 1 << 26
"""The largest image that is decoded; a small file can hold a far larger one on purpose."""
_PILLOW = {"Grey": "L", "RGB": "RGB"}
_IDX_IMAGES, _IDX_LABELS = 0x803, 0x801
_READ_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    struct.error,
    zlib.error,
    EOFError,
    Image.DecompressionBombError,
)


@dataclass(frozen=True)
class Labelled:
    """Images of one size with their labels.

    Attributes:
        pixels: (images, channels, height, width).
        labels: One for each image; None where there are none.
    """

    pixels: Pixels
    labels: Sequence[Label] | None


@dataclass(frozen=True)
class _Item:
    name: str
    encoded: bytes | AnyFile
    label: Label | None


def read_images(sources: Sequence[Source], base: Path, images: Images | None) -> Labelled:
    """All images of these sources, in order; files of a folder or glob in the order of their paths.

    Args:
        sources: Where to read.
        base: Folder that relative paths start from.
        images: How they become images of one size; None takes them as they are.

    Raises:
        DataError: something is missing, damaged, or of another size or mode than the others.
    """
    spec = images or Images()
    parts = [
        _idx(source, base, spec) if source.format == "Idx" else _decoded(source, base, spec)
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
        if (part.labels is None) != (parts[0].labels is None):
            raise DataError(
                "some sources have labels, and others have none",
                where=", ".join(source.uri for source in sources),
                remedy="Give labels for all sources, or for none.",
            )
    labels = None if parts[0].labels is None else [label for part in parts for label in part.labels or ()]
    pixels = parts[0].pixels if len(parts) == 1 else np.concatenate([part.pixels for part in parts])
    return Labelled(pixels, labels)


def _shape(pixels: Pixels) -> str:
    _, channels, height, width = pixels.shape
    return f"{width}x{height} {'grey' if channels == 1 else 'RGB'}"


def _decoded(source: Source, base: Path, spec: Images) -> Labelled:
    items = _folder_items(source, base) if source.format == "ImageFolder" else _parquet_items(source, base)
    pixels: Pixels | None = None
    for number, (item, encoded) in enumerate(zip(items, _encoded(items), strict=True)):
        image = _fitted(_opened(item, encoded, spec), spec)
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
        raise DataError("there are no images", where=source.uri, remedy="Give PNG, JPEG, WebP or BMP images.")
    labels = [item.label for item in items]
    known = [label for label in labels if label is not None]
    return Labelled(pixels, known if len(known) == len(labels) else None)


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


def _opened(item: _Item, encoded: bytes, spec: Images) -> Image.Image:
    """The image, upright, in the mode L or RGB."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(encoded), formats=("PNG", "JPEG", "WEBP", "BMP")) as opened:
                _check_kind(opened, item, spec)
                opened.load()
                upright = ImageOps.exif_transpose(opened)
                return upright.convert(_PILLOW[spec.mode]) if spec.mode else upright
    except _READ_ERRORS as error:
        raise DataError(
            f"the image cannot be decoded: {_why(error)}",
            where=item.name,
            remedy="Replace the file by a whole PNG, JPEG, WebP or BMP image, or leave it out.",
        ) from error


def _why(error: Exception) -> str:
    """Pillow's words, without the address of what it read from."""
    if isinstance(error, UnidentifiedImageError):
        return "it is no PNG, JPEG, WebP or BMP file"
    return str(error) or type(error).__name__


def _check_kind(image: Image.Image, item: _Item, spec: Images) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise DataError(
            f"the image has {image.width}x{image.height} pixels",
            where=item.name,
            remedy=f"Scale it down; at most {MAX_PIXELS:,} pixels are read.",
        )
    if getattr(image, "n_frames", 1) > 1:
        raise DataError("the image is animated", where=item.name, remedy="Give a single picture instead.")
    if image.mode not in CONVERTIBLE:
        raise DataError(
            f"the image has more than 8 bits a channel (Pillow's mode {image.mode})",
            where=item.name,
            remedy="Convert it to 8 bits a channel.",
        )
    if spec.mode is None and image.mode not in ("L", "RGB"):
        raise DataError(
            f"the image has the mode {image.mode}, neither grey (L) nor RGB",
            where=item.name,
            remedy="Give spec.data.images.mode: RGB or Grey, so that it is converted.",
        )


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


def _folder_items(source: Source, base: Path) -> list[_Item]:
    files = [file for file in find_files(source, base) if file.suffix in SUFFIXES]
    if not files:
        raise DataError(
            "there are no images",
            where=source.uri,
            remedy=f"Put files there: {', '.join(sorted(SUFFIXES))}.",
        )
    classes = all(len(file.inner) > 1 for file in files)
    return [_Item(str(file), file, file.inner[0] if classes else None) for file in files]


def _parquet_items(source: Source, base: Path) -> list[_Item]:
    items: list[_Item] = []
    for path in find_files(source, base):
        table = _parquet_table(path, source)
        images = table.column(source.field or "image")
        labels = _parquet_labels(table, source, path)
        for row, (image, label) in enumerate(zip(images.to_pylist(), labels, strict=True)):
            encoded = image.get("bytes") if isinstance(image, dict) else image
            if not isinstance(encoded, bytes):
                raise DataError(
                    "the row has no image bytes",
                    where=f"{path}, row {row}",
                    remedy="Fill in or remove the row.",
                )
            items.append(_Item(f"{path}, row {row}", encoded, label))
    return items


def _parquet_table(path: AnyFile, source: Source) -> Any:
    wanted = source.field or "image"
    try:
        file = pq.ParquetFile(input_file(path))
        if wanted not in file.schema_arrow.names:
            raise DataError(
                f"there is no column {wanted!r}; there are {', '.join(file.schema_arrow.names)}",
                where=str(path),
                remedy="Name the column of the image in the source's field.",
            )
        label = source.label_field or "label"
        if source.label_field is not None and label not in file.schema_arrow.names:
            raise DataError(
                f"there is no column {label!r}; there are {', '.join(file.schema_arrow.names)}",
                where=str(path),
                remedy="Name the column of the labels in the source's labelField, or leave it out.",
            )
        columns = [wanted, *([label] if label in file.schema_arrow.names else [])]
        return file.read(columns=columns)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"the Parquet file cannot be read: {reason(error)}",
            where=str(path),
            remedy="Restore the file, or leave it out.",
        ) from error


def _parquet_labels(table: Any, source: Source, path: AnyFile) -> Iterable[Label | None]:
    name = source.label_field or "label"
    if name not in table.column_names:
        return [None] * table.num_rows
    column = table.column(name)
    kinds = (pa.types.is_integer, pa.types.is_string, pa.types.is_large_string)
    if column.null_count or not any(kind(column.type) for kind in kinds):
        raise DataError(
            f"the column {name!r} has the type {column.type} and {column.null_count} empty rows",
            where=str(path),
            remedy="Labels are whole numbers from 0 or texts, one in every row.",
        )
    labels: list[Label | None] = column.to_pylist()
    return labels


def _idx(source: Source, base: Path, spec: Images) -> Labelled:
    paths = find_files(source, base)
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
        (path,) = find_files(Source(uri=source.labels), base)[:1]
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
    mode = _PILLOW[spec.mode or "Grey"]
    return np.stack([_fitted(Image.fromarray(image[0]).convert(mode), spec) for image in pixels])


def _idx_array(path: AnyFile, magic: int, dimensions: int) -> Pixels:
    """An array of unsigned bytes: magic number, sizes as big-endian 32-bit numbers, then the values."""
    try:
        content = path.read()
        data = _unpacked(content, path) if content[:2] == b"\x1f\x8b" else content
        found, *shape = struct.unpack(f">{1 + dimensions}I", data[: 4 * (1 + dimensions)])
    except _READ_ERRORS as error:
        raise _damaged_idx(path, str(error) or type(error).__name__) from error
    size = int(np.prod(shape, dtype=object))
    if found != magic:
        raise _damaged_idx(path, f"it begins with {found:#x} instead of {magic:#x}")
    if len(data) != 4 * (1 + dimensions) + size or size == 0:
        raise _damaged_idx(path, f"it has {len(data):,} bytes for {'x'.join(map(str, shape))} values")
    return np.frombuffer(data, dtype=np.uint8, offset=4 * (1 + dimensions)).reshape(shape)


def _unpacked(content: bytes, path: AnyFile) -> bytes:
    """Unpacked in pieces, so that a small file that holds a huge one cannot fill the memory."""
    limit = machine.memory().free // 2
    pieces: list[bytes] = []
    for piece in _pieces(content):
        pieces.append(piece)
        limit -= len(piece)
        if limit < 0:
            raise DataError(
                "unpacked it does not fit into memory", where=str(path), remedy="Give a smaller file."
            )
    return b"".join(pieces)


def _pieces(content: bytes) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
        while piece := file.read(1 << 24):
            yield piece


def _damaged_idx(path: AnyFile, why: str) -> DataError:
    return DataError(
        f"is no idx file: {why}",
        where=str(path),
        remedy="Give a file in the format of MNIST; images in `uri`, labels in `labels`.",
    )
