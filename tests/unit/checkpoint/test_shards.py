from __future__ import annotations

import io
import json
import struct
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load as safetensors_load
from safetensors.torch import save as safetensors_save

from raygen.checkpoint.integrity import walk
from raygen.checkpoint.shards import Shard, encode, into
from raygen.errors import CheckpointError

TENSORS = {"b": torch.arange(6.0).reshape(2, 3), "a": torch.tensor([True]), "e": torch.empty(2, 0)}


def decode(stream: io.BytesIO, size: int, *, keep: bool) -> Shard:
    tensors: dict[str, torch.Tensor] = {}
    contents = walk(stream, size, into(tensors) if keep else lambda name, slot: None)
    return Shard(contents.slots, tensors, contents.record)


def file(header: dict[str, Any] | bytes, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(shape: list[int], begin: int, end: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize("keep", [True, False])
def test_the_library_reads_ours_and_we_read_the_librarys(keep: bool) -> None:
    ours = b"".join(encode(TENSORS))
    assert {n: t.tolist() for n, t in safetensors_load(ours).items()} == {
        n: t.tolist() for n, t in TENSORS.items()
    }
    for data in (ours, safetensors_save(TENSORS, {"note": "metadata"}), b"".join(encode({}))):
        shard = decode(io.BytesIO(data), len(data), keep=keep)
        assert shard.record.size == len(data)
        for name, tensor in shard.tensors.items():
            assert torch.equal(tensor, TENSORS[name])
        assert len(shard.tensors) == (len(shard.slots) if keep else 0)


BAD = {
    "empty": b"",
    "short": b"\0\0\0",
    "a header longer than the file": struct.pack("<Q", 1 << 62),
    "not JSON": file(b"{"),
    "no object": file(b"[]"),
    "deep": file(b"[" * 100_000),
    "no dtype": file({"x": {"shape": [], "data_offsets": [0, 0]}}),
    "unknown dtype": file({"x": entry([1], 0, 4, "F31")}, bytes(4)),
    "negative extent": file({"x": entry([-1], 0, 4)}, bytes(4)),
    "wrong size": file({"x": entry([2], 0, 4)}, bytes(4)),
    "a gap": file({"x": entry([1], 4, 8)}, bytes(8)),
    "an overlap": file({"x": entry([1], 0, 4), "y": entry([1], 0, 4)}, bytes(4)),
    "bytes left over": file({"x": entry([1], 0, 4)}, bytes(5)),
    "bytes missing": file({"x": entry([1], 0, 4)}, bytes(3)),
    "huge": file({"x": entry([1 << 60], 0, 1 << 62)}, bytes(4)),
    "a pickle": b"\x80\x04\x95" + bytes(100),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("keep", [True, False])
def test_other_files_are_refused(name: str, keep: bool) -> None:
    with pytest.raises(CheckpointError, match="is not a safetensors file"):
        decode(io.BytesIO(BAD[name]), len(BAD[name]), keep=keep)


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for content in (data, file(data)):
        try:
            decode(io.BytesIO(content), len(content), keep=True)
        except CheckpointError:
            continue


@pytest.mark.parametrize("keep", [True, False])
def test_a_file_that_shrinks_while_it_is_read_is_refused(keep: bool) -> None:
    data = b"".join(encode(TENSORS))
    with pytest.raises(CheckpointError, match="ended"):
        decode(io.BytesIO(data[:-1]), len(data), keep=keep)
