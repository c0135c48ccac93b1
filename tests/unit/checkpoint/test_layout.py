"""Checkpoints that several workers write, each its own pieces, and that any others read."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import BrokenBarrierError

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from raygen.checkpoint import Block, Writer, is_finite, latest, load, survey
from raygen.checkpoint.layout import Slices
from raygen.errors import CheckpointError, FencedError, OutputError
from raygen.storage import LocalStorage, Storage
from tests.budget import examples
from tests.unit.checkpoint.faults import Killed, Mortal, assert_is_step, state_of, values_of
from tests.unit.checkpoint.peers import rows, save_together

TYPES = st.sampled_from([torch.float32, torch.bfloat16, torch.int64, torch.bool])


@st.composite
def tensors(draw: st.DrawFn) -> torch.Tensor:
    shape = draw(st.lists(st.integers(0, 5), max_size=3))
    numbers = torch.arange(torch.Size(shape).numel()).reshape(shape)
    return (numbers * 7 % 11).to(draw(TYPES))


@st.composite
def grids(draw: st.DrawFn, shape: tuple[int, ...]) -> list[Slices]:
    """A tensor cut along each of its dimensions into parts, some of which may be empty."""
    dimensions = []
    for extent in shape:
        cuts = sorted(draw(st.lists(st.integers(0, extent), max_size=2)))
        dimensions.append([slice(a, b) for a, b in itertools.pairwise([0, *cuts, extent])])
    return list(itertools.product(*dimensions))


@st.composite
def spread(
    draw: st.DrawFn, state: dict[str, torch.Tensor], count: int
) -> list[dict[str, torch.Tensor | Block]]:
    """A state of which each worker has at most one part of each tensor."""
    workers: list[dict[str, torch.Tensor | Block]] = [{} for _ in range(count)]
    for name, tensor in state.items():
        parts = draw(grids(tuple(tensor.shape)).filter(lambda found: len(found) <= count))
        owners = draw(st.permutations(range(count)))
        if len(parts) == 1 and draw(st.booleans()):
            workers[owners[0]][name] = tensor
            continue
        for part, owner in zip(parts, owners, strict=False):
            offsets = tuple(span.start for span in part)
            workers[owner][name] = Block(tensor[part], offsets, tuple(tensor.shape))
    return workers


@given(st.data())
@examples(60)
def test_what_any_workers_wrote_any_others_read(data: st.DataObject) -> None:
    state = {str(i): t for i, t in enumerate(data.draw(st.lists(tensors(), min_size=1, max_size=4)))}
    count = data.draw(st.integers(1, 4))
    workers = data.draw(spread(state, count))
    with TemporaryDirectory() as folder:
        storage = LocalStorage(Path(folder))
        errors = save_together([storage] * count, 5, workers, {"a": 1}, shard_bytes=40)
        assert errors == [None] * count
        whole = latest(storage)
        assert whole is not None
        assert whole.values == {"a": 1}
        assert all(torch.equal(whole.tensors[name], tensor) for name, tensor in state.items())
        is_finite(storage, 5)
        name = data.draw(st.sampled_from(sorted(state)))
        for part in data.draw(grids(tuple(state[name].shape))):
            found = load(storage, 5, tensors={name: part, "absent": ()}).tensors
            assert found.keys() == {name}
            assert found[name].dtype == state[name].dtype
            assert torch.equal(found[name], state[name][part])


def test_each_worker_writes_files_of_its_own(storage: LocalStorage) -> None:
    save_together([storage] * 2, 300, [rows(state_of(300), rank, 2) for rank in (0, 1)], values_of(300))
    assert [entry.key.removeprefix("step-00000300/") for entry in storage.list()] == [
        "manifest.json",
        "rank-00000-shard-00000-of-00001.a001.safetensors",
        "rank-00001-shard-00000-of-00001.a001.safetensors",
        "state.a001.json",
    ]
    pieces = load(storage, 300).manifest.tensors["model/a"].shards
    assert [(piece.offsets, piece.shape) for piece in pieces] == [((0, 0), (2, 3)), ((2, 0), (3, 3))]


def test_blocks_of_tied_tensors_are_stored_once(storage: LocalStorage) -> None:
    weight = torch.randn(6, 4)
    state = {"embedding": weight, "head": weight}
    assert save_together([storage] * 2, 1, [rows(state, rank, 2) for rank in (0, 1)], {}) == [None, None]
    loaded = load(storage, 1).tensors
    assert torch.equal(loaded["head"], weight)
    assert loaded["head"] is loaded["embedding"]
    parts = load(storage, 1, tensors={"embedding": (slice(1, 5),), "head": (slice(1, 5),)}).tensors
    assert parts["head"] is parts["embedding"]
    assert torch.equal(parts["head"], weight[1:5])


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("dying", [0, 1])
def test_a_worker_killed_at_any_moment_of_a_save_loses_nothing(
    tmp_path: Path, moment: str, dying: int
) -> None:
    survived = False
    for k in range(100):
        storage = LocalStorage(tmp_path / str(k))
        for step in (100, 200):
            assert save_parts([storage, storage], step) == [None, None]
        storages: list[Storage] = [storage, storage]
        storages[dying] = Mortal(storage, [k], moment)
        errors = save_parts(storages, 300)
        if errors[dying] is None:
            survived = True
            assert errors == [None, None]
        else:
            assert isinstance(errors[dying], Killed)
        newest = latest(storage)
        assert newest is not None
        assert_is_step(newest, newest.step)
        assert newest.step in ({300} if survived else {200, 300})
        assert all(folder.complete for folder in survey(storage) if folder.manifest)
        for step in (400, 500):
            assert save_parts([storage, storage], step, attempt=2) == [None, None]
        assert [folder.step for folder in survey(storage)] == [400, 500]
        if survived:
            break
    assert survived
    assert k >= (5 if dying == 0 else 1)


def save_parts(storages: list[Storage], step: int, **options: int) -> list[BaseException | None]:
    parts = [rows(state_of(step), rank, len(storages)) for rank in range(len(storages))]
    return save_together(storages, step, parts, values_of(step), **options)


def test_a_worker_that_cannot_write_keeps_all_from_committing(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_parts([storage] * 3, 100)
    full = LocalStorage(Path(storage.uri))

    def refuse(self: LocalStorage, key: str, chunks: object) -> None:
        raise OutputError("the disk is full")

    broken = type("Broken", (LocalStorage,), {"stream": refuse, "within": lambda self, folder: self})(
        Path(full.uri, "step-00000200")
    )
    errors = save_parts([storage, storage, broken], 200)
    assert [type(error) for error in errors] == [CheckpointError, CheckpointError, OutputError]
    assert "worker 2 could not save its part: the disk is full" in str(errors[0])
    assert_is_step(latest(storage), 100)
    assert save_parts([storage] * 3, 200) == [None] * 3
    assert_is_step(latest(storage), 200)


def test_a_fenced_first_worker_keeps_all_from_committing(storage: LocalStorage) -> None:
    def fenced() -> None:
        raise FencedError("a newer attempt has taken over")

    parts = [rows(state_of(1), rank, 2) for rank in (0, 1)]
    errors = save_together([storage] * 2, 1, parts, values_of(1), before_commit=fenced)
    assert [type(error) for error in errors] == [FencedError, CheckpointError]
    assert latest(storage) is None


@pytest.mark.parametrize("fault", ["missing", "twice", "another shape"])
def test_pieces_that_do_not_make_the_tensor_are_not_committed(storage: LocalStorage, fault: str) -> None:
    parts = [rows(state_of(1), rank, 2) for rank in (0, 1)]
    if fault == "missing":
        del parts[1]["model/a"]
    elif fault == "twice":
        parts[1]["count"] = torch.tensor(1)
    else:
        parts[1]["model/a"] = Block(torch.zeros(3, 3), (2, 0), (5, 4))
    errors = save_together([storage] * 2, 1, parts, values_of(1))
    assert [type(error) for error in errors] == [CheckpointError, CheckpointError]
    assert latest(storage) is None


def test_a_lost_worker_leaves_the_save_uncommitted(storage: LocalStorage) -> None:
    class Alone:
        rank, count = 0, 2

        def gather(self, message: str) -> list[str]:
            raise BrokenBarrierError

    writer = Writer(storage, peers=Alone())
    writer.save(1, state_of(1), values_of(1))
    with pytest.raises(BrokenBarrierError):
        writer.close()
    assert latest(storage) is None


OLD = LocalStorage(Path(__file__).parent / "formats" / "0.1")
"""What raygen 0.1 wrote."""


def test_a_checkpoint_of_raygen_0_1_is_read_in_whole_and_in_part() -> None:
    assert_is_step(latest(OLD), 200)
    state = state_of(200)
    part = load(OLD, 200, tensors={"model/a": (slice(1, 4), slice(1, 3)), "count": ()})
    assert torch.equal(part.tensors["model/a"], state["model/a"][1:4, 1:3])
    assert part.tensors["count"] == 200
    assert part.values == values_of(200)


def test_one_worker_writes_what_raygen_0_1_reads(storage: LocalStorage) -> None:
    """The same files, byte for byte, and a manifest with nothing more than checksums, which 0.1 passes over."""
    with Writer(storage, attempt=3, shard_bytes=70) as writer:
        writer.save(200, state_of(200), values_of(200), metric=0.5)
    documents = []
    for place in (OLD, storage):
        document = json.loads(place.read("step-00000200/manifest.json"))
        del document["created"], document["sha256"]
        for record in document["files"].values():
            record.pop("crc32", None)
        documents.append(document)
    assert documents[0] == documents[1]
