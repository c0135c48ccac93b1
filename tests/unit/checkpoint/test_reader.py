from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save as safetensors_bytes

from raygen.checkpoint import (
    FileRecord,
    Manifest,
    Piece,
    Skipped,
    TensorRecord,
    Writer,
    is_finite,
    latest,
    load,
    steps,
)
from raygen.errors import CheckpointError, OutputError
from raygen.storage import LocalStorage
from tests.unit.checkpoint.faults import assert_is_step, state_of, values_of


@pytest.fixture
def two(storage: LocalStorage) -> LocalStorage:
    """Checkpoints of the steps 100 and 200."""
    with Writer(storage) as writer:
        for step in (100, 200):
            writer.save(step, state_of(step), values_of(step))
    return storage


def key_of(storage: LocalStorage, step: int, part: str) -> str:
    return next(e.key for e in storage.list(f"step-{step:08d}/") if part in e.key)


def assert_passes_over(storage: LocalStorage, pattern: str) -> None:
    loaded = latest(storage)
    assert_is_step(loaded, 100)
    assert loaded is not None
    assert [type(s) for s in loaded.skipped] == [Skipped]
    assert loaded.skipped[0].step == 200
    assert pattern in loaded.skipped[0].reason
    for look in (load, is_finite):
        with pytest.raises(CheckpointError) as caught:
            look(storage, 200)
        assert "step-00000200" in caught.value.where


def test_nothing_is_no_fault(storage: LocalStorage) -> None:
    assert latest(storage) is None
    assert steps(storage) == []


def test_only_a_first_save_cut_short_is_nothing(storage: LocalStorage) -> None:
    storage.write("step-00000100/shard-00000-of-00001.a001.safetensors", b"half")
    assert latest(storage) is None


def test_other_folders_are_left_alone(two: LocalStorage) -> None:
    two.write("notes/read.me", b"x")
    two.write("step-1/x", b"x")
    assert_is_step(latest(two), 200)


FLIPS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FLIPS
@given(data=st.data(), bit=st.integers(0, 7))
def test_one_flipped_bit_anywhere_is_found(two: LocalStorage, data: st.DataObject, bit: int) -> None:
    keys = [e.key for e in two.list("step-00000200/")]
    key = data.draw(st.sampled_from(keys))
    whole = two.read(key)
    place = data.draw(st.integers(0, len(whole) - 1))
    altered = bytearray(whole)
    altered[place] ^= 1 << bit
    two.write(key, altered)
    try:
        assert_passes_over(two, "step-00000200 was passed over: ")
    finally:
        two.write(key, whole)


@FLIPS
@given(data=st.data())
def test_a_file_cut_or_grown_anywhere_is_found(two: LocalStorage, data: st.DataObject) -> None:
    key = data.draw(st.sampled_from([e.key for e in two.list("step-00000200/")]))
    whole = two.read(key)
    changed = data.draw(
        st.integers(0, len(whole) - 1).map(lambda n: whole[:n]) | st.binary(min_size=1).map(whole.__add__)
    )
    two.write(key, changed)
    try:
        assert_passes_over(two, "step-00000200 was passed over: ")
    finally:
        two.write(key, whole)


@pytest.mark.parametrize(
    ("part", "reason"),
    [("shard", ".safetensors is missing"), ("state", ".json is missing"), ("manifest", "cut short")],
)
def test_a_missing_file_is_named(two: LocalStorage, part: str, reason: str) -> None:
    two.delete(key_of(two, 200, part))
    assert_passes_over(two, reason)


def test_a_manifest_swapped_between_steps_is_refused(two: LocalStorage) -> None:
    keys = [key_of(two, step, "manifest") for step in (100, 200)]
    first, second = (two.read(key) for key in keys)
    two.write(keys[1], first)
    assert_passes_over(two, "manifest is that of step 100")
    two.write(keys[0], second)
    with pytest.raises(CheckpointError, match="none of the checkpoints verifies") as caught:
        latest(two)
    assert "manifest is that of step 100" in str(caught.value)
    assert "manifest is that of step 200" in str(caught.value)
    assert caught.value.remedy


def test_a_renamed_folder_is_refused(two: LocalStorage) -> None:
    root = Path(two.uri)
    (root / "step-00000200").rename(root / "step-00000300")
    loaded = latest(two)
    assert_is_step(loaded, 100)
    assert loaded is not None
    assert "manifest is that of step 200" in loaded.skipped[0].reason


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("honest", [False, True], ids=["swapped in", "with a manifest made for it"])
@pytest.mark.parametrize("part", ["shard", "state", "manifest"])
def test_a_pickle_is_never_unpickled(two: LocalStorage, tmp_path: Path, part: str, honest: bool) -> None:
    data = pickle.dumps(Bomb(tmp_path / "exploded"))
    name = key_of(two, 200, part)
    if honest and part != "manifest":
        manifest = load(two, 200).manifest
        record = FileRecord(len(data), hashlib.sha256(data).hexdigest())
        altered = replace(manifest, files={**manifest.files, name.split("/")[1]: record})
        two.write("step-00000200/manifest.json", altered.encode())
    two.write(name, data)
    assert_passes_over(two, "step-00000200 was passed over: ")
    assert not (tmp_path / "exploded").exists()
    pickle.loads(data)  # noqa: S301 - shows that the bomb is a live one
    assert (tmp_path / "exploded").exists()


def test_a_storage_that_cannot_be_read_is_no_torn_checkpoint(
    two: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: LocalStorage, key: str) -> bytes:
        raise OutputError("cannot be read: Input/output error")

    monkeypatch.setattr(LocalStorage, "read", broken)
    with pytest.raises(OutputError):
        latest(two)


WHOLE = torch.arange(24.0).reshape(4, 6)
LEFT, RIGHT = Piece("s0", "part", (0, 0), (4, 2)), Piece("s1", "part", (0, 2), (4, 4))


def write_by_hand(storage: LocalStorage, *pieces: Piece, shape: tuple[int, ...] = (4, 6)) -> None:
    """A checkpoint of the tensor `x` as several ranks would write it: each piece to its file."""
    files = {"state.json": b"{}"}
    for name in sorted({p.file for p in pieces}):
        parts = {}
        for p in pieces:
            if p.file == name:
                region = tuple(slice(o, o + n) for o, n in zip(p.offsets, p.shape, strict=True))
                part = WHOLE[region] if len(p.shape) == 2 else WHOLE
                parts[p.key] = part.contiguous() if part.shape == p.shape else torch.zeros(p.shape)
        files[name] = safetensors_bytes(parts)
    records = {n: FileRecord(len(d), hashlib.sha256(d).hexdigest()) for n, d in files.items()}
    tensors = {"x": TensorRecord("F32", shape, pieces)}
    for name, data in files.items():
        storage.write(f"step-00000001/{name}", data)
    manifest = Manifest(1, 1, "", "", "state.json", records, tensors)
    storage.write("step-00000001/manifest.json", manifest.encode())


@pytest.mark.parametrize(
    "pieces",
    [
        (LEFT, RIGHT),
        (RIGHT, LEFT),
        tuple(Piece(f"s{i}", "row", (i, 0), (1, 6)) for i in range(4)),
        tuple(Piece(f"s{i % 2}", f"{i}{j}", (i, j), (1, 1)) for i in range(4) for j in range(6)),
        (Piece("s0", "x", (0, 0), (4, 6)),),
    ],
)
def test_a_tensor_is_assembled_from_its_shards(storage: LocalStorage, pieces: tuple[Piece, ...]) -> None:
    write_by_hand(storage, *pieces)
    is_finite(storage, 1)
    assert torch.equal(load(storage, 1).tensors["x"], WHOLE)


@pytest.mark.parametrize(
    ("pieces", "reason"),
    [
        ((LEFT,), "cover"),
        ((), "cover"),
        ((LEFT, LEFT, LEFT), "cover"),
        ((LEFT, RIGHT, replace(LEFT, file="s2")), "cover"),
        ((LEFT, replace(RIGHT, offsets=(0, 3))), "outside"),
        ((Piece("s0", "x", (0,), (24,)),), "dimensions"),
    ],
)
def test_shards_that_do_not_make_the_tensor_are_refused(
    storage: LocalStorage, pieces: tuple[Piece, ...], reason: str
) -> None:
    write_by_hand(storage, *pieces)
    for look in (load, is_finite):
        with pytest.raises(CheckpointError, match=reason):
            look(storage, 1)


@pytest.mark.parametrize(
    "change",
    [
        lambda r: replace(r, dtype="I32"),
        lambda r: replace(r, shards=(replace(r.shards[0], key="absent"),)),
        lambda r: replace(r, shape=(6, 4), shards=(replace(r.shards[0], shape=(6, 4)),)),
    ],
)
def test_a_manifest_that_describes_other_tensors_is_refused(
    storage: LocalStorage, change: Callable[[TensorRecord], TensorRecord]
) -> None:
    write_by_hand(storage, Piece("s0", "x", (0, 0), (4, 6)))
    manifest = load(storage, 1).manifest
    altered = replace(manifest, tensors={"x": change(manifest.tensors["x"])})
    storage.write("step-00000001/manifest.json", altered.encode())
    with pytest.raises(CheckpointError, match="does not hold x as the manifest says"):
        load(storage, 1)
