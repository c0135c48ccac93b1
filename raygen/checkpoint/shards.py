"""One shard: the safetensors format, written and read in a single pass without a second copy.

The format is eight bytes of header length, a JSON header {name: {dtype, shape, data_offsets}}, and
the tensors' bytes one after the other, little-endian. Any safetensors reader can open a shard.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import torch

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


@dataclass
class Tally:
    """Counts and digests the bytes that pass through it."""

    size: int = 0
    _digest: Any = field(default_factory=hashlib.sha256)

    def add(self, data: Buffer) -> None:
        """Takes one more chunk into account."""
        self.size += len(data)
        self._digest.update(data)

    def through(self, chunks: Iterable[Buffer]) -> Iterator[Buffer]:
        """Yields `chunks` unchanged, adding each."""
        for chunk in chunks:
            self.add(chunk)
            yield chunk

    def record(self) -> FileRecord:
        """Size and digest of all that was added."""
        return FileRecord(self.size, self._digest.hexdigest())


@dataclass(frozen=True, slots=True)
class Slot:
    """A tensor as a shard's header describes it: safetensors dtype, shape, bytes."""

    dtype: str
    shape: tuple[int, ...]
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
        CheckpointError: If it is no safetensors file of exactly that size; its text follows a file name.
    """
    tally = Tally()
    slots = _slots(stream, size, tally)
    tensors = {}
    for name, slot in slots.items():
        if keep:
            tensors[name] = torch.empty(slot.shape, dtype=_DTYPES[slot.dtype])
            _fill(stream, byte_view(tensors[name]), tally)
        else:
            _pass_over(stream, slot.size, tally)
    return Shard(slots, tensors, tally.record())


def _slots(stream: BinaryIO, size: int, tally: Tally) -> dict[str, Slot]:
    prefix = stream.read(8)
    length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else size
    if length > min(size - 8, _MAX_HEADER_BYTES):
        raise CheckpointError("is no safetensors file: its header does not fit in it")
    text = stream.read(length)
    tally.add(prefix)
    tally.add(text)
    try:
        header = json.loads(text)
        header.pop("__metadata__", None)
        placed = sorted((_placed(name, entry) for name, entry in header.items()), key=lambda p: p[:2])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError("is no safetensors file: its header is malformed") from error
    expected = 0
    for begin, end, name, slot in placed:
        if begin != expected or end - begin != slot.size:
            raise CheckpointError(f"is no safetensors file: the tensor {name} is misplaced")
        expected = end
    if 8 + length + expected != size:
        raise CheckpointError("is no safetensors file: its size does not match its header")
    return {name: slot for _, _, name, slot in placed}


def _placed(name: str, entry: Mapping[str, Any]) -> tuple[int, int, str, Slot]:
    begin, end = (int(number) for number in entry["data_offsets"])
    shape = tuple(int(extent) for extent in entry["shape"])
    if any(extent < 0 for extent in shape):
        raise ValueError(f"negative extent in {shape}")
    size = math.prod(shape) * _DTYPES[entry["dtype"]].itemsize
    return begin, end, name, Slot(entry["dtype"], shape, size)


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
