from __future__ import annotations

import errno
import os
import threading
from concurrent.futures import Future
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from raygen.checkpoint import Writer, latest, load, steps, survey
from raygen.errors import CheckpointError, FencedError, InputError, OutputError
from raygen.storage import LocalStorage
from tests.unit.checkpoint.faults import Killed, Mortal, assert_is_step, state_of, values_of


def save(storage: LocalStorage | Mortal, *wanted: int, attempt: int = 1, keep: int = 2) -> None:
    with Writer(storage, attempt=attempt, keep=keep, shard_bytes=70) as writer:
        for step in wanted:
            writer.save(step, state_of(step), values_of(step))


def test_a_directory_in_a_directory_out(storage: LocalStorage) -> None:
    save(storage, 2000)
    assert [entry.key for entry in storage.list()] == [
        "step-00002000/manifest.json",
        "step-00002000/shard-00000-of-00002.a001.safetensors",
        "step-00002000/shard-00001-of-00002.a001.safetensors",
        "step-00002000/state.a001.json",
    ]
    assert_is_step(latest(storage), 2000)
    assert_is_step(load(storage, 2000), 2000)
    manifest = load(storage, 2000).manifest
    assert manifest.tensors["model/a"].shape == (5, 3)
    assert manifest.tensors["model/b"].dtype == "BF16"


def test_shards_open_in_the_safetensors_library(storage: LocalStorage) -> None:
    save(storage, 7)
    found: dict[str, torch.Tensor] = {}
    for entry in storage.list():
        if entry.key.endswith(".safetensors"):
            found |= load_file(str(storage.local_path(entry.key)))
    assert found.keys() == state_of(7).keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in state_of(7).items())


DTYPES = [
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16, torch.bfloat16,
    torch.float32, torch.float64, torch.complex64, torch.uint16, torch.uint32, torch.uint64, torch.float8_e4m3fn,
]  # fmt: skip


def test_every_dtype_and_odd_shape_round_trips_bit_for_bit(storage: LocalStorage) -> None:
    generator = torch.Generator().manual_seed(0)
    state = {}
    for dtype in DTYPES:
        raw = torch.randint(
            0, 2 if dtype == torch.bool else 256, (48,), dtype=torch.uint8, generator=generator
        )
        state[str(dtype)] = raw.view(dtype)
    state["scalar"] = torch.tensor(float("nan"))
    state["empty"] = torch.empty(0, 3)
    state["strided"] = torch.arange(12.0).reshape(3, 4).t()[1:, ::2]
    with Writer(storage) as writer:
        writer.save(1, state, {})
    loaded = load(storage, 1).tensors
    assert loaded.keys() == state.keys()
    for name, tensor in state.items():
        assert (loaded[name].dtype, loaded[name].shape) == (tensor.dtype, tensor.shape)
        raw = tensor.contiguous().reshape(-1).view(torch.uint8)
        assert torch.equal(loaded[name].reshape(-1).view(torch.uint8), raw)


def test_tied_tensors_are_stored_once(storage: LocalStorage) -> None:
    weight = torch.randn(100, 10)
    with Writer(storage) as writer:
        writer.save(1, {"embedding": weight, "head": weight, "part": weight[:2]}, {})
    loaded = load(storage, 1).tensors
    assert torch.equal(loaded["head"], weight)
    assert torch.equal(loaded["part"], weight[:2])
    assert sum(e.size for e in storage.list() if "shard" in e.key) < 2 * weight.nbytes


def test_the_snapshot_is_taken_before_save_returns(storage: LocalStorage) -> None:
    gate = threading.Event()
    state, values = state_of(1), values_of(1)
    held = Writer(storage, before_commit=gate.wait)
    held.save(1, state, values)
    for tensor in state.values():
        tensor.zero_()
    values["step"] = -1
    gate.set()
    held.close()
    assert_is_step(latest(storage), 1)


def test_a_save_waits_for_the_one_in_flight(storage: LocalStorage) -> None:
    gate = threading.Event()
    order: list[str] = []

    def commit() -> None:
        gate.wait()
        order.append("committed")

    with Writer(storage, before_commit=commit) as writer:
        writer.save(1, state_of(1), values_of(1))
        releaser = threading.Thread(target=lambda: (order.append("released"), gate.set()))
        releaser.start()
        writer.save(2, state_of(2), values_of(2))
        order.append("second save returned")
        releaser.join()
    assert order[:3] == ["released", "committed", "second save returned"]
    assert writer.newest == 2


def test_an_interrupted_wait_does_not_forget_the_save(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    with Writer(storage, before_commit=gate.wait) as writer:
        writer.save(1, state_of(1), values_of(1))
        with monkeypatch.context() as interrupted:

            def interrupt(self: Future[None]) -> None:
                raise KeyboardInterrupt

            interrupted.setattr(Future, "result", interrupt)
            with pytest.raises(KeyboardInterrupt):
                writer.save(2, state_of(2), values_of(2))
        gate.set()
        writer.wait()
        assert writer.newest == 1
    assert_is_step(load(storage, 1), 1)


def test_a_changed_shape_gets_a_new_buffer(storage: LocalStorage) -> None:
    with Writer(storage) as writer:
        for step, size in enumerate((4, 2, 9)):
            writer.save(step, {"x": torch.full((size,), float(step))}, {})
    for step, size in enumerate((4, 2, 9)):
        assert torch.equal(load(storage, step).tensors["x"], torch.full((size,), float(step)))


@pytest.mark.parametrize("surface", ["save", "wait", "close"])
def test_an_error_in_the_thread_surfaces_once(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch, surface: str
) -> None:
    save(storage, 1)
    writer = Writer(storage)
    with monkeypatch.context() as broken:

        def full(descriptor: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        broken.setattr(os, "fsync", full)
        writer.save(2, state_of(2), values_of(2))
        calls = {
            "save": lambda: writer.save(3, state_of(3), values_of(3)),
            "wait": writer.wait,
            "close": writer.close,
        }
        with pytest.raises(OutputError, match="full"):
            calls[surface]()
    writer.close()
    assert_is_step(latest(storage), 1)


def test_a_full_disk_is_survived_once_there_is_space(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Writer(storage) as writer:
        writer.save(1, state_of(1), values_of(1))
        writer.wait()
        with monkeypatch.context() as broken:
            broken.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
            writer.save(2, state_of(2), values_of(2))
            with pytest.raises(OutputError):
                writer.wait()
        writer.save(2, state_of(2), values_of(2))
    assert_is_step(latest(storage), 2)
    assert steps(storage) == [1, 2]


def test_a_fenced_writer_commits_and_deletes_nothing(storage: LocalStorage) -> None:
    save(storage, 1, 2)
    before = {e.key: storage.read(e.key) for e in storage.list()}

    def fenced() -> None:
        raise FencedError("a newer attempt has taken over")

    writer = Writer(storage, keep=2, before_commit=fenced)
    writer.save(2, state_of(5), values_of(5))
    with pytest.raises(FencedError):
        writer.wait()
    writer.save(3, state_of(3), values_of(3))
    with pytest.raises(FencedError):
        writer.close()
    after = {e.key: storage.read(e.key) for e in storage.list()}
    assert before.items() <= after.items()
    assert_is_step(latest(storage), 2)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_kill_at_any_moment_of_a_save_loses_nothing(tmp_path: Path, moment: str) -> None:
    survived = False
    for k in range(100):
        storage = LocalStorage(tmp_path / f"{moment}-{k}")
        save(storage, 100, 200)
        try:
            save(Mortal(storage, [k], moment), 300)
            survived = True
        except Killed:
            newest = latest(storage)
            assert newest is not None
            assert_is_step(newest, newest.step)
            verifying = [step for step in (100, 200, 300) if step in steps(storage)]
            assert len(verifying) >= 2
            assert all(folder.complete for folder in survey(storage) if folder.manifest)
            for step in verifying:
                assert_is_step(load(storage, step), step)
        save(storage, 400, attempt=2)
        save(storage, 500, attempt=2)
        assert [folder.step for folder in survey(storage)] == [400, 500]
        if survived:
            break
    assert survived
    assert k >= 8


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("attempt", [1, 2])
def test_a_kill_while_saving_a_step_again_loses_nothing(tmp_path: Path, moment: str, attempt: int) -> None:
    survived = False
    for k in range(100):
        storage = LocalStorage(tmp_path / f"{k}")
        save(storage, 100, 200)
        try:
            save(Mortal(storage, [k], moment), 200, attempt=attempt)
            survived = True
        except Killed:
            assert_is_step(latest(storage), 200)
            assert_is_step(load(storage, 100), 100)
        save(storage, 200, attempt=3)
        assert_is_step(latest(storage), 200)
        names = [e.key for e in storage.list("step-00000200/")]
        assert len(names) == 4
        assert sum(".a003." in name for name in names) == 3
        if survived:
            break
    assert survived
    assert k >= 6


def test_a_step_saved_again_replaces_the_torn_one(storage: LocalStorage) -> None:
    storage.write("step-00000100/shard-00000-of-00001.a001.safetensors", b"half")
    save(storage, 100, attempt=1)
    assert_is_step(latest(storage), 100)
    assert not storage.exists("step-00000100/shard-00000-of-00001.a001.safetensors")


def test_values_that_json_would_change_are_refused_in_the_call(storage: LocalStorage) -> None:
    with Writer(storage) as writer, pytest.raises(CheckpointError, match=r"values\.a\[1\] is nan"):
        writer.save(1, {}, {"a": [1, float("nan")]})
    assert list(storage.list()) == []


def test_a_dtype_that_safetensors_lacks_is_refused_in_the_call(storage: LocalStorage) -> None:
    with Writer(storage) as writer, pytest.raises(CheckpointError, match=r"x is torch\.complex128"):
        writer.save(1, {"x": torch.zeros(1, dtype=torch.complex128)}, {})


def test_fewer_than_two_are_never_kept(storage: LocalStorage) -> None:
    with pytest.raises(InputError, match="keep is 1"):
        Writer(storage, keep=1)
