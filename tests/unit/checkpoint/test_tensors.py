"""Parts of a checkpoint: what is read of the files, and that what is read is verified."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from typing import BinaryIO

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from raygen.checkpoint import Slices, Writer, is_finite, load
from raygen.checkpoint.digests import Tally, VerifiedFile
from raygen.checkpoint.manifest import CHUNK_BYTES
from raygen.errors import CheckpointError
from raygen.storage import LocalStorage
from tests.budget import examples

STATE = {
    "first": torch.arange(700_000, dtype=torch.int32).reshape(700, 1000),
    "second": torch.arange(900_000, dtype=torch.int32).reshape(3, 300, 1000),
    "third": torch.tensor(3),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> LocalStorage:
    """A shard of seven chunks, the tensors of which begin and end within chunks."""
    storage = LocalStorage(tmp_path_factory.mktemp("saved"))
    with Writer(storage) as writer:
        writer.save(1, STATE, {})
    return storage


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("first", ()),
        ("first", (slice(0, 1),)),
        ("first", (slice(300, 600), slice(None))),
        ("first", (slice(None), slice(10, 20))),
        ("first", (slice(699, 700), slice(999, 1000))),
        ("first", (slice(5, 5),)),
        ("second", (slice(1, 2), slice(100, 200))),
        ("second", (slice(None), slice(299, 300), slice(1, 3))),
        ("third", ()),
    ],
)
def test_a_part_is_that_part_of_the_tensor(saved: LocalStorage, name: str, part: Slices) -> None:
    found = load(saved, 1, tensors={name: part}).tensors[name]
    assert torch.equal(found, STATE[name][part])
    assert found.is_contiguous()


def test_of_several_parts_each_is_loaded(saved: LocalStorage) -> None:
    found = load(saved, 1, tensors={"second": (slice(1, 3),), "first": (slice(0, 2),), "third": ()}).tensors
    assert torch.equal(found["second"], STATE["second"][1:3])
    assert torch.equal(found["first"], STATE["first"][:2])
    assert found["third"] == 3


class Counted(io.BufferedReader):
    """A file that counts the bytes which are read of it."""

    count = 0

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        read = super().readinto(buffer)
        Counted.count += read
        return read


def test_no_more_is_read_than_the_chunks_of_the_part(
    saved: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def counted(self: LocalStorage, key: str) -> BinaryIO:
        path = self.local_path(key)
        assert path is not None
        return Counted(io.FileIO(path))

    monkeypatch.setattr(LocalStorage, "open", counted)
    monkeypatch.setattr(Counted, "count", 0)
    monkeypatch.setattr(LocalStorage, "read", lambda self, key: (Path(self.uri) / key).read_bytes())
    load(saved, 1, tensors={"second": (slice(2, 3), slice(0, 10))})
    # The header's chunk, and that, or those two, of ten rows of 4,000 bytes.
    assert Counted.count in (2 * CHUNK_BYTES, 3 * CHUNK_BYTES)
    Counted.count = 0
    load(saved, 1, tensors={})
    assert Counted.count == 0


def flip(storage: LocalStorage, place: int) -> None:
    (key,) = [entry.key for entry in storage.list() if "shard" in entry.key]
    data = bytearray(storage.read(key))
    data[place] ^= 1
    storage.write(key, data)


def test_a_flipped_bit_is_found_where_its_chunk_is_read(saved: LocalStorage) -> None:
    place = 5 * CHUNK_BYTES + 77
    flip(saved, place)
    try:
        load(saved, 1, tensors={"first": ()})
        for part in ((), (slice(2, 3),)):
            with pytest.raises(CheckpointError, match="was altered") as caught:
                load(saved, 1, tensors={"second": part})
            assert "shard-00000" in caught.value.where
        with pytest.raises(CheckpointError, match="was altered"):
            is_finite(saved, 1)
    finally:
        flip(saved, place)


def test_the_header_is_verified_too(saved: LocalStorage) -> None:
    flip(saved, 20)
    try:
        with pytest.raises(CheckpointError):
            load(saved, 1, tensors={"third": ()})
    finally:
        flip(saved, 20)


@pytest.mark.parametrize("size", [-1, 1])
def test_a_shard_of_another_size_is_refused_even_where_nothing_of_it_is_wanted(
    saved: LocalStorage, size: int
) -> None:
    (key,) = [entry.key for entry in saved.list() if "shard" in entry.key]
    whole = saved.read(key)
    saved.write(key, whole[:size] if size < 0 else whole + b"x")
    try:
        with pytest.raises(CheckpointError, match="bytes instead of"):
            load(saved, 1, tensors={})
    finally:
        saved.write(key, whole)


def test_more_slices_than_dimensions_are_refused(saved: LocalStorage) -> None:
    with pytest.raises(CheckpointError, match="first has 2 dimensions"):
        load(saved, 1, tensors={"first": (slice(None),) * 3})


@given(st.lists(st.integers(0, 3 * CHUNK_BYTES), min_size=2, max_size=6), st.data())
@examples(20)
def test_any_bytes_of_a_file_are_read_as_they_were_written(cuts: list[int], data: st.DataObject) -> None:
    content = torch.arange(3 * CHUNK_BYTES // 8).numpy().tobytes()[: max(cuts)]
    places = sorted({0, *cuts})
    tally = Tally(chunks=True)
    for begin, end in itertools.pairwise(places):
        tally.add(content[begin:end])
    file = VerifiedFile(io.BytesIO(content), tally.record())
    for _ in range(5):
        begin = data.draw(st.integers(0, len(content)))
        count = data.draw(st.integers(0, len(content)))
        assert file.read(begin, count) == content[begin : begin + count]
