"""One shard: a safetensors file of tensors, written and read in a single pass without a second copy.

Any safetensors reader can open a shard.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from raygen.checkpoint.integrity import CHUNK_BYTES, Slot
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
        for begin in range(0, len(data), CHUNK_BYTES):
            yield data[begin : begin + CHUNK_BYTES]


@dataclass(frozen=True, slots=True)
class Shard:
    """What a shard held: its header, its tensors (empty if they were not kept), its record."""

    slots: Mapping[str, Slot]
    tensors: Mapping[str, torch.Tensor]
    record: FileRecord


def into(tensors: dict[str, torch.Tensor]) -> Callable[[str, Slot], memoryview]:
    """Has `walk` put a shard's tensors here."""

    def view_of(name: str, slot: Slot) -> memoryview:
        tensors[name] = torch.empty(slot.shape, dtype=_DTYPES[slot.dtype])
        return byte_view(tensors[name])

    return view_of
