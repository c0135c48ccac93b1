"""Reads the files of a checkpoint and checks every byte of them, without making tensors of them; needs no PyTorch.

A shard is in the safetensors format: eight bytes of header length, a JSON header {name: {dtype, shape, data_offsets}}, and
the tensors' bytes one after the other, little-endian.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np

from raygen.checkpoint.digests import ALTERED, Tally, VerifiedFile
from raygen.checkpoint.layout import check_layout
from raygen.checkpoint.manifest import MANIFEST, FileRecord, Manifest, Piece, TensorRecord
from raygen.errors import CheckpointError
from raygen.storage import NotFoundError, Storage

SIZES = {
    "BOOL": 1,
    "U8": 1,
    "I8": 1,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
    "U16": 2,
    "I16": 2,
    "F16": 2,
    "BF16": 2,
    "U32": 4,
    "I32": 4,
    "F32": 4,
    "U64": 8,
    "I64": 8,
    "F64": 8,
    "C64": 8,
}
"""Bytes of a number of each type, as safetensors names them."""
_NOT_FINITE = {
    "F8_E4M3": ("u1", 0x7F),
    "F8_E5M2": ("u1", 0x7C),
    "F16": ("<u2", 0x7C00),
    "BF16": ("<u2", 0x7F80),
    "F32": ("<u4", 0x7F800000),
    "C64": ("<u4", 0x7F800000),
    "F64": ("<u8", 0x7FF0000000000000),
}
"""Of types of floating point: unsigned integers of the same size, and the bits that are all set in what is not finite."""
CHUNK_BYTES = 8 << 20
_MAX_HEADER_BYTES = 100 << 20  # as the safetensors library allows


@dataclass(frozen=True, slots=True)
class Slot:
    """A tensor as a shard's header describes it.

    Attributes:
        dtype: As safetensors names it.
        shape: Its shape.
        start: Where it begins in the file, in bytes.
        size: Bytes.
    """

    dtype: str
    shape: tuple[int, ...]
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Contents:
    """What a shard held: its header, its record, and whether all numbers that were passed over are finite."""

    slots: Mapping[str, Slot]
    record: FileRecord
    finite: bool


@dataclass(frozen=True, slots=True)
class Place:
    """A piece of a tensor in a shard."""

    name: str
    record: TensorRecord
    piece: Piece


def verify_all(folder: Storage, manifest: Manifest) -> bool:
    """Reads every byte of every shard and verifies it; whether all numbers of floating point are finite.

    Raises:
        CheckpointError: A shard is missing, torn or altered, or holds other tensors than the manifest says.
    """
    finite = True
    for file, places in places_of(folder, manifest).items():
        contents = read_shard(folder, manifest, file, lambda name, slot: None)  # noqa: ARG005 (nothing is kept)
        for place in places:
            check_slot(folder, place, contents.slots)
        finite &= contents.finite
    return finite


def check_sizes(folder: Storage, manifest: Manifest) -> None:
    """Checks that every shard is there and as large as it was; reads none.

    Raises:
        CheckpointError: One is missing or has another size.
    """
    for file in places_of(folder, manifest):
        with opened(folder, manifest, file, read=False):
            pass


def read_shard(
    folder: Storage, manifest: Manifest, file: str, view_of: Callable[[str, Slot], memoryview | None]
) -> Contents:
    """Reads and verifies a shard; arguments as for `walk`."""
    with opened(folder, manifest, file) as stream:
        contents = walk(stream, manifest.files[file].size, view_of)
        if contents.record != manifest.files[file]:
            raise CheckpointError(ALTERED)
    return contents


def walk(stream: BinaryIO, size: int, view_of: Callable[[str, Slot], memoryview | None]) -> Contents:
    """Reads a shard of `size` bytes once, hashing as it goes.

    Args:
        stream: At the shard's first byte.
        size: The file's size in bytes; bounds every allocation.
        view_of: Gives the memory for a tensor's bytes, or None to pass over them.

    Raises:
        CheckpointError: If it is not a safetensors file of exactly that size; its text follows a file name.
    """
    tally = Tally()
    prefix = stream.read(8)
    text = stream.read(_header_length(prefix, size))
    tally.add(prefix)
    tally.add(text)
    slots, finite = _slots(text, size), True
    for name, slot in slots.items():
        view = view_of(name, slot)
        if view is None:
            finite &= _pass_over(stream, slot, tally)
        else:
            _fill(stream, view, tally)
    return Contents(slots, tally.record(), finite)


def slots_of(file: VerifiedFile, size: int) -> dict[str, Slot]:
    """The tensors of a shard of `size` bytes, from its header alone; errors as in `walk`."""
    return _slots(file.read(8, _header_length(file.read(0, 8), size)), size)


def places_of(folder: Storage, manifest: Manifest) -> dict[str, list[Place]]:
    """What is in each shard, which all tensors together cover once."""
    places: dict[str, list[Place]] = {}
    for name, record in manifest.tensors.items():
        try:
            check_layout(name, record)
        except CheckpointError as error:
            error.where = f"{folder.uri}/{MANIFEST}"
            raise
        for piece in record.shards:
            places.setdefault(piece.file, []).append(Place(name, record, piece))
    return dict(sorted(places.items()))


@contextmanager
def opened(folder: Storage, manifest: Manifest, file: str, *, read: bool = True) -> Iterator[BinaryIO]:
    """A shard of the right size, empty if it is not to be read; what is wrong in it is raised with its name."""
    where = f"{folder.uri}/{file}"
    try:
        _check_size(folder.size(file), manifest.files[file].size)
        with folder.open(file) if read else BytesIO() as stream:
            yield stream
    except NotFoundError as error:
        raise CheckpointError(f"{file} is missing", where=where) from error
    except CheckpointError as error:
        if error.where:
            raise
        raise CheckpointError(f"{file} {error.what}", where=where) from error


def _check_size(found: int, expected: int) -> None:
    if found != expected:
        raise CheckpointError(f"has {found} bytes instead of {expected}")


def check_slot(folder: Storage, place: Place, slots: Mapping[str, Slot]) -> Slot:
    """Where a piece lies in its shard; CheckpointError if the shard's header has another tensor there, or none."""
    slot = slots.get(place.piece.key)
    if slot is None or (slot.dtype, slot.shape) != (place.record.dtype, place.piece.shape):
        raise CheckpointError(
            f"{place.piece.file} does not hold {place.name} as the manifest says",
            where=f"{folder.uri}/{MANIFEST}",
        )
    return slot


def _header_length(prefix: bytes, size: int) -> int:
    length: int = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else size
    if length > min(size - 8, _MAX_HEADER_BYTES):
        raise CheckpointError("is not a safetensors file: its header does not fit in it")
    return length


def _slots(text: bytes, size: int) -> dict[str, Slot]:
    """The tensors that a header describes, in the order of their bytes."""
    try:
        header = json.loads(text)
        header.pop("__metadata__", None)
        placed = sorted((_placed(name, entry) for name, entry in header.items()), key=lambda p: p[:2])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError("is not a safetensors file: its header is malformed") from error
    slots, expected, data = {}, 0, 8 + len(text)
    for begin, end, name, dtype, shape in placed:
        slots[name] = Slot(dtype, shape, data + begin, math.prod(shape) * SIZES[dtype])
        if begin != expected or end - begin != slots[name].size:
            raise CheckpointError(f"is not a safetensors file: the tensor {name} is misplaced")
        expected = end
    if data + expected != size:
        raise CheckpointError("is not a safetensors file: its size does not match its header")
    return slots


def _placed(name: str, entry: Mapping[str, Any]) -> tuple[int, int, str, str, tuple[int, ...]]:
    begin, end = (int(number) for number in entry["data_offsets"])
    shape = tuple(int(extent) for extent in entry["shape"])
    if any(extent < 0 for extent in shape):
        raise ValueError(f"negative extent in {shape}")
    if entry["dtype"] not in SIZES:
        raise ValueError(f"unknown type {entry['dtype']}")
    return begin, end, name, entry["dtype"], shape


def _fill(stream: BinaryIO, view: memoryview, tally: Tally) -> None:
    for begin in range(0, len(view), CHUNK_BYTES):
        part = view[begin : begin + CHUNK_BYTES]
        if stream.readinto(part) != len(part):  # type: ignore[attr-defined]
            raise CheckpointError("ended while it was being read")
        tally.add(part)


def _pass_over(stream: BinaryIO, slot: Slot, tally: Tally) -> bool:
    """Whether the numbers are finite. Chunks hold whole numbers, whose size divides theirs."""
    finite = True
    for begin in range(0, slot.size, CHUNK_BYTES):
        want = min(CHUNK_BYTES, slot.size - begin)
        part = stream.read(want)
        if len(part) != want:
            raise CheckpointError("ended while it was being read")
        tally.add(part)
        finite &= _is_finite(part, slot.dtype)
    return finite


def _is_finite(data: bytes, dtype: str) -> bool:
    """By the bits, since NumPy has no BFloat16: no number has the exponent of infinities and NaNs."""
    if dtype not in _NOT_FINITE:
        return True
    kind, mask = _NOT_FINITE[dtype]
    return not bool((np.frombuffer(data, kind) & mask == mask).any())
