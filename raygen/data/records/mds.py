"""Shards of MosaicML Streaming (MDS): samples of typed columns behind a table of where each begins.

Source: the format as `streaming` 0.13 writes it, version 2. A shard is the number of samples, the offsets of each and of the end
(all unsigned 32-bit, little-endian), a JSON object that describes the columns, and the samples. A sample is the sizes of those
columns that have no fixed one, then the values of all. Pickled columns are never read.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from raygen.data.images.decoding import MAX_PIXELS, PILLOW_ERRORS
from raygen.data.records.listing import Reading, Records, each_file, part_files, too_long
from raygen.data.records.part import Part, PartFile, Piece
from raygen.data.records.record import BrokenRecord, Label, Record
from raygen.data.remarks import Remarks
from raygen.data.sources.compressed import Stream, unpacking
from raygen.data.sources.files import AnyFile, find_files
from raygen.errors import DamagedError, DataError
from raygen.spec.data.sources import ResolvedSource
from raygen.spec.schema.messages import nearest

_INDEX = "index.json"
_ENDS = (".mds", ".mds.zstd", ".mds.gz", ".mds.bz2", ".mds.br", ".mds.snappy")
_UNREAD = {"br": "brotli", "snappy": "snappy"}
"""Ways of compressing that are not read, by the end of the name."""
_MOST_SAMPLES = 1 << 24
_LONGEST_HEADER = 1 << 24
_PIECE = 1 << 20
_PIL_HEAD = 12
_PIL_BITS = {"1": 1, "L": 8, "P": 8, "LA": 16, "I;16": 16, "RGB": 24, "YCbCr": 24, "RGBA": 32, "CMYK": 32}
"""Bits of a pixel in Pillow's modes; each row begins with a byte of its own."""
_NUMPY = {
    8: "u1",
    9: "i1",
    16: "<u2",
    17: "<i2",
    18: "<f2",
    32: "<u4",
    33: "<i4",
    34: "<f4",
    64: "<u8",
    65: "<i8",
    66: "<f8",
}
"""Types of the values of an array, by their number."""


def pieces(source: ResolvedSource, base: Path, remarks: Remarks, size: int) -> Sequence[Piece]:
    """The shards in the order of their indexes, whole; see `raygen.data.records.parts`."""
    del size
    files = {str(file): file for file in find_files(source, base, remarks)}
    indexes = [file for file in files.values() if str(file).endswith(f"/{_INDEX}")]
    if indexes:
        found = [shard for index in indexes for shard in _shards(index, files)]
    else:
        found = [(file, None) for file in files.values() if str(file).endswith(_ENDS) or len(files) == 1]
    used = {str(file) for file, _ in found} | {str(index) for index in indexes}
    for uri, file in files.items():
        if uri not in used and not str(file).endswith(_ENDS):
            remarks.skipped("file", "it is not a shard of MDS", uri)
    if not found:
        raise DataError(
            "there are no shards of MDS",
            where=source.uri,
            remedy="Give the folder with index.json and shard.*.mds, or correct the uri.",
        )
    counts = [count for _, count in found]
    named = part_files([file for file, _ in found], source, base)
    return [Piece(file, records=count) for file, count in zip(named, counts, strict=True)]


def _shards(index: AnyFile, files: dict[str, AnyFile]) -> Iterator[tuple[AnyFile, int | None]]:
    """The files that an index names, with their numbers of samples; of a shard that is there twice the plain one."""
    folder = str(index).removesuffix(_INDEX)
    try:
        shards = json.loads(index.read())["shards"]
        named = [
            ([part["basename"] for part in (one["raw_data"], one.get("zip_data")) if part], one["samples"])
            for one in shards
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            "is not an index of MDS shards",
            where=str(index),
            remedy="Restore it, or write the data set again.",
        ) from error
    for names, count in named:
        there = [files[folder + name] for name in names if folder + name in files]
        if not there:
            raise DataError(
                f"the shard {' or '.join(names)} is missing",
                where=str(index),
                remedy="Restore the file, or write the data set again.",
            )
        yield there[0], count if isinstance(count, int) else None


def read(part: Part, source: ResolvedSource, base: Path, remarks: Remarks, limit: int) -> Records:
    """The records; see `raygen.data.records.parts`."""
    del base
    return each_file(part, lambda file, reading: _records(file, reading, source, remarks, limit))


def encodings_of(file: PartFile) -> dict[str, str]:
    """The columns of a shard and how each is encoded; DamagedError if it cannot be read."""
    with file.file.open() as opened:
        shard = _Shard(unpacking(opened, file.uri, Remarks()), file.uri)
    return {column.name: column.encoding for column in shard.columns}


@dataclass(frozen=True)
class _Column:
    name: str
    encoding: str
    size: int | None


def _records(
    file: PartFile, reading: Reading, source: ResolvedSource, remarks: Remarks, limit: int
) -> Records:
    end = PurePosixPath(file.uri).suffix[1:]
    if end in _UNREAD:
        raise DamagedError(
            f"is compressed by {_UNREAD[end]}, which is not read",
            where=file.uri,
            remedy="Write the data set again with compression zstd or none.",
        )
    with reading.opened(file) as opened:
        shard = _Shard(unpacking(opened, file.uri, remarks), file.uri)
        reading.records = shard.count
        content, label = _chosen(shard.columns, source, file.uri)
        if not shard.count:
            remarks.skipped("file", "it holds no samples", file.uri)
        for number, at, sample in shard.samples(limit):
            key, where = f"{file.key}#{at}", f"{file.uri}, sample {number} at byte {at}"
            if sample is None:
                yield too_long(key, where, limit)
                continue
            try:
                values = _values(shard.columns, sample)
                found = _content(content, values[content.name], source)
                name = _label(label, values[label.name]) if label is not None else None
            except PILLOW_ERRORS as error:
                why = f"the sample cannot be read: {error}"
                yield BrokenRecord(
                    key, where, why, sample[:_PIECE], "Write the shard again, or leave it out."
                )
                continue
            if found:
                yield Record(key, where, found, name)
            else:
                remarks.skipped("sample", f"its {content.name} is empty", where)


class _Shard:
    """A shard that is read from beginning to end.

    Attributes:
        count: Samples that it says it has.
        columns: What each of them has.
    """

    def __init__(self, stream: Stream, uri: str) -> None:
        self._stream, self._uri = stream, uri
        self.count = self._numbers(1)[0]
        if self.count > _MOST_SAMPLES:
            raise self._fault(f"it begins with {self.count:,} as the number of its samples")
        self._offsets = self._numbers(self.count + 1)
        length = self._offsets[0] - 4 * (self.count + 2)
        if not 0 < length <= _LONGEST_HEADER or any(
            after < before for before, after in zip(self._offsets, self._offsets[1:], strict=False)
        ):
            raise self._fault("the offsets of its samples make no sense")
        self.columns = self._described(self._exactly(length, "its header"))

    def samples(self, limit: int) -> Iterator[tuple[int, int, bytes | None]]:
        """Number, offset and content of each sample; None for one that is longer than the limit."""
        for number in range(self.count):
            at, size = self._offsets[number], self._offsets[number + 1] - self._offsets[number]
            what = f"sample {number:,} of {self.count:,} at byte {at}"
            if size <= limit:
                yield number, at, self._exactly(size, what)
                continue
            while size:
                size -= len(self._exactly(min(size, _PIECE), what))
            yield number, at, None

    def _described(self, header: bytes) -> list[_Column]:
        try:
            config = json.loads(header)
            named = zip(
                config["column_names"], config["column_encodings"], config["column_sizes"], strict=True
            )
            return [_Column(str(name), str(encoding), _size(size)) for name, encoding, size in named]
        except (ValueError, KeyError, TypeError) as error:
            raise self._fault("its header describes no columns") from error

    def _numbers(self, count: int) -> list[int]:
        numbers: list[int] = np.frombuffer(self._exactly(4 * count, "its header"), "<u4").tolist()
        return numbers

    def _exactly(self, count: int, what: str) -> bytes:
        pieces, left = [], count
        while left and (piece := self._stream.read(min(left, _PIECE))):
            pieces.append(piece)
            left -= len(piece)
        if left:
            raise self._fault(f"it is cut off within {what}")
        return b"".join(pieces)

    def _fault(self, why: str) -> DamagedError:
        return DamagedError(
            f"is not a shard of MDS, or is damaged: {why}",
            where=self._uri,
            remedy="Restore the file, or leave it out.",
        )


def _size(given: Any) -> int | None:
    """The size of a column as the header has it; ValueError for what is none."""
    if given is None or (type(given) is int and given >= 0):
        return given
    raise ValueError("a size is not a number")


def _chosen(columns: list[_Column], source: ResolvedSource, uri: str) -> tuple[_Column, _Column | None]:
    """The columns of content and label, whose encodings are read.

    Raises:
        DataError: One is missing, or is pickled or otherwise not read.
    """
    by_name = {column.name: column for column in columns}
    wanted = source.label_field or ("label" if source.contents == "Images" else "")
    for name in (source.field or "", source.label_field):
        if name is not None and name not in by_name:
            close = nearest(name, by_name)
            meant = f"Did you mean {close!r}? " if close is not None else ""
            raise DataError(
                f"there is no column {name!r}; there are {', '.join(by_name)}",
                where=uri,
                remedy=f"{meant}Name the column in the source's field or labelField.",
            )
    content, label = by_name[source.field or ""], by_name.get(wanted)
    readers = _IMAGES if source.contents == "Images" else _TEXTS
    for column, known in ((content, readers), (label, _LABELS)):
        if column is not None and _base(column.encoding) not in known:
            unsafe = ", which could run code when it is read" if _base(column.encoding) == "pkl" else ""
            raise DataError(
                f"the column {column.name!r} has the encoding {column.encoding}{unsafe}, and not one of {', '.join(known)}",
                where=uri,
                remedy="Write the data set again with one of these, or name another column.",
            )
    return content, label


def _base(encoding: str) -> str:
    return encoding.partition(":")[0]


def _values(columns: list[_Column], sample: bytes) -> dict[str, bytes]:
    """The bytes of each column."""
    open_sizes = sum(1 for column in columns if not column.size)
    given = iter(np.frombuffer(sample[: 4 * open_sizes], "<u4").tolist())
    sizes = [column.size or next(given, 0) for column in columns]
    if 4 * open_sizes + sum(sizes) != len(sample):
        raise ValueError(f"its columns have {sum(sizes):,} bytes, and it has {len(sample):,}")
    at, values = 4 * open_sizes, {}
    for column, size in zip(columns, sizes, strict=True):
        values[column.name] = sample[at : at + size]
        at += size
    return values


def _content(column: _Column, value: bytes, source: ResolvedSource) -> str | bytes:
    if source.contents == "Images":
        return _IMAGES[_base(column.encoding)](value, column.encoding)
    return _TEXTS[_base(column.encoding)](value)


def _label(column: _Column, value: bytes) -> Label | None:
    label: Label | None = _LABELS[_base(column.encoding)](value)
    return label


def _from_pil(value: bytes, encoding: str) -> bytes:
    """A picture as Pillow had it in memory: width, height, length of the mode's name, that name, pixels."""
    del encoding
    width, height, length = np.frombuffer(value[:_PIL_HEAD], "<u4").tolist()
    mode = value[_PIL_HEAD : _PIL_HEAD + length].decode("ascii")
    if mode not in _PIL_BITS:
        raise ValueError("its mode is not read")
    pixels = value[_PIL_HEAD + length :]
    # Pillow would take the memory of all pixels before it looks at what is there.
    _check_sides(height, width)
    if len(pixels) != (needed := height * -(-width * _PIL_BITS[mode] // 8)):
        raise ValueError(f"it has {len(pixels):,} bytes of {width}x{height} pixels, which need {needed:,}")
    image = Image.frombytes(mode, (width, height), pixels)
    return _png(image if mode in ("1", "L", "P", "LA", "RGB", "RGBA", "I;16") else image.convert("RGB"))


def _from_array(value: bytes, encoding: str) -> bytes:
    """A picture as an array of bytes: (height, width), or with channels last."""
    _, _, rest = encoding.partition(":")
    dtype, _, fixed = rest.partition(":")
    at = 0
    if not dtype:
        dtype, at = _NUMPY.get(value[0], "?") if value else "?", 1
    if fixed:
        shape = [int(length) for length in fixed.split(",")]
    elif len(value) <= at:
        raise ValueError("its array is cut off")
    else:
        dimensions, width = value[at] >> 2, 1 << (value[at] & 3)
        lengths = value[at + 1 : at + 1 + dimensions * width]
        shape = np.frombuffer(lengths, f"<u{width}").tolist()
        at += 1 + dimensions * width
    if dtype not in ("u1", "uint8"):
        raise ValueError(f"its array holds {dtype}, and a picture's holds uint8")
    pixels = np.frombuffer(value[at:], np.uint8).reshape(shape)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (3, 4)):
        raise ValueError(f"its array has the shape {'x'.join(map(str, shape))}, and no picture's")
    _check_sides(pixels.shape[0], pixels.shape[1])
    return _png(Image.fromarray(pixels))


def _check_sides(height: int, width: int) -> None:
    if not 0 < height * width <= MAX_PIXELS:
        raise ValueError(f"it has {width}x{height} pixels, and a picture has 1 to {MAX_PIXELS:,}")


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def _same(value: bytes, encoding: str) -> bytes:
    del encoding
    return value


_IMAGES: dict[str, Callable[[bytes, str], bytes]] = {
    "jpeg": _same,
    "png": _same,
    "bytes": _same,
    "pil": _from_pil,
    "ndarray": _from_array,
}
"""Encodings that hold an image."""
_TEXTS: dict[str, Callable[[bytes], str]] = {"str": bytes.decode, "bytes": bytes.decode}
"""Encodings that hold a text."""


def _number(kind: str) -> Callable[[bytes], Any]:
    size = np.dtype(kind).itemsize

    def number(value: bytes) -> Any:
        if len(value) != size:
            raise ValueError(f"its label has {len(value):,} bytes, and not {size}")
        return np.frombuffer(value, kind)[0].item()

    return number


_LABELS: dict[str, Callable[[bytes], Any]] = {
    "int": _number("<i8"),
    "str": bytes.decode,
    "str_int": int,
    **{
        f"{'u' * (sign == 'u')}int{bits}": _number(f"<{sign}{bits // 8}")
        for sign in "iu"
        for bits in (8, 16, 32, 64)
    },
}
"""Encodings that hold a label."""
