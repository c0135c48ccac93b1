"""One shard: the safetensors format, written and read in a single pass without a second copy.

The format is eight bytes of header length, a JSON header {name: {dtype, shape, data_offsets}}, and
the tensors' bytes one after the other, little-endian. Any safetensors reader can open a shard.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import torch

from raygen.checkpoint.digests import Tally, VerifiedFile
from raygen.checkpoint.manifest import FileRecord
from raygen.errors import CheckpointError
from raygen.storage import Buffer

_DTYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "U16": torch.uint16,
    "I16": torch.int16,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "U32": torch.uint32,
    "I32": torch.int32,
    "F32": torch.float32,
    "U64": torch.uint64,
    "I64": torch.int64,
    "F64": torch.float64,
    "C64": torch.complex64,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}

_CHUNK_BYTES = 8 << 20
_MAX_HEADER_BYTES = 100 << 20  # as the safetensors library allows


def dtype_name(name: str, tensor: torch.Tensor) -> str:
    """The safetensors name of a tensor's dtype; CheckpointError if it has none."""
    if tensor.dtype not in _NAMES:
        raise CheckpointError(f"the tensor {name} is {tensor.dtype}, which safetensors cannot hold")
    return _NAMES[tensor.dtype]


def torch_dtype(name: str) -> torch.dtype:
    """The dtype of that safetensors name; CheckpointError if there is none."""
    if name not in _DTYPES:
        raise CheckpointError(f"there is no type {name} of tensors")
    return _DTYPES[name]


def byte_view(tensor: torch.Tensor) -> memoryview:
    """The bytes of a contiguous CPU tensor, shared with it."""
    return tensor.reshape(-1).view(torch.uint8).numpy().data


def encode(tensors: Mapping[str, torch.Tensor]) -> Iterator[Buffer]:
    """The shard's bytes in chunks; `tensors` are contiguous and on the CPU."""
    header: dict[str, Any] = {}
    end = 0
    for name, tensor in tensors.items():
        begin, end = end, end + tensor.nbytes
        header[name] = {
            "dtype": dtype_name(name, tensor),
            "shape": list(tensor.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    yield struct.pack("<Q", len(text)) + text
    for tensor in tensors.values():
        data = byte_view(tensor)
        for begin in range(0, len(data), _CHUNK_BYTES):
            yield data[begin : begin + _CHUNK_BYTES]


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
class Shard:
    """What a shard held: its header, its tensors (empty if they were not kept), its record."""

    slots: Mapping[str, Slot]
    tensors: Mapping[str, torch.Tensor]
    record: FileRecord


def decode(stream: BinaryIO, size: int, *, keep: bool) -> Shard:
    """Reads a shard of `size` bytes once, hashing as it goes.

    Args:
        stream: At the shard's first byte.
        size: The file's size in bytes; bounds every allocation.
        keep: Whether to keep the tensors, or only to check that they are there.

    Raises:
        CheckpointError: If it is not a safetensors file of exactly that size; its text follows a file name.
    """
    tally = Tally()
    prefix = stream.read(8)
    text = stream.read(_header_length(prefix, size))
    tally.add(prefix)
    tally.add(text)
    slots = _slots(text, size)
    tensors = {}
    for name, slot in slots.items():
        if keep:
            tensors[name] = torch.empty(slot.shape, dtype=_DTYPES[slot.dtype])
            _fill(stream, byte_view(tensors[name]), tally)
        else:
            _pass_over(stream, slot.size, tally)
    return Shard(slots, tensors, tally.record())


def slots_of(file: VerifiedFile, size: int) -> dict[str, Slot]:
    """The tensors of a shard of `size` bytes, from its header alone; errors as in `decode`."""
    return _slots(file.read(8, _header_length(file.read(0, 8), size)), size)


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
        slots[name] = Slot(dtype, shape, data + begin, math.prod(shape) * _DTYPES[dtype].itemsize)
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
    if entry["dtype"] not in _DTYPES:
        raise ValueError(f"unknown type {entry['dtype']}")
    return begin, end, name, entry["dtype"], shape


def _fill(stream: BinaryIO, view: memoryview, tally: Tally) -> None:
    for begin in range(0, len(view), _CHUNK_BYTES):
        part = view[begin : begin + _CHUNK_BYTES]
        if stream.readinto(part) != len(part):  # type: ignore[attr-defined]
            raise CheckpointError("ended while it was being read")
        tally.add(part)


def _pass_over(stream: BinaryIO, size: int, tally: Tally) -> None:
    for begin in range(0, size, _CHUNK_BYTES):
        want = min(_CHUNK_BYTES, size - begin)
        part = stream.read(want)
        if len(part) != want:
            raise CheckpointError("ended while it was being read")
        tally.add(part)
