"""Workers agree on the checkpoint that they go on from, through a store."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from raygen.checkpoint import Loaded, Writer
from raygen.errors import CheckpointError
from raygen.storage import LocalStorage, Storage
from raygen.training.engine.agreement import Group
from raygen.training.engine.control import Control
from raygen.training.engine.resume import agreed_checkpoint
from raygen.training.engine.store import Table

SECONDS = 10


def write(folder: Path, *steps: int, value: float = 0.0) -> Storage:
    """Checkpoints of these steps."""
    storage = LocalStorage(folder)
    with Writer(storage, keep=9) as writer:
        for step in steps:
            writer.save(step, {"w": torch.full((3,), step + value)}, {"loop": {}})
            writer.wait()
    return storage


class Damaged(LocalStorage):
    """Gives other bytes of some steps' shards than were written."""

    def __init__(self, folder: Path, *steps: int) -> None:
        super().__init__(folder)
        self._steps = steps

    def open(self, key: str) -> Any:
        other = next((s for s in self._steps if key.startswith(f"step-{s:08}/")), None)
        return super().open(key) if other is None else super().open(key.replace(f"{other:08}", "00000001"))


def agree(*storages: Storage) -> tuple[list[Any], list[str]]:
    """What each worker gets (a checkpoint, or an error), and what the first one notes."""
    driver = Table(SECONDS)
    notices: list[str] = []

    def work(rank: int, storage: Storage) -> Loaded | CheckpointError | None:
        group = Group(driver, 1, Control(), rank=rank, count=len(storages))
        take: Callable[[str], None] = notices.append if rank == 0 else lambda _: None
        try:
            return agreed_checkpoint(storage, group, take)
        except CheckpointError as error:
            return error

    with ThreadPoolExecutor(len(storages)) as threads:
        return list(threads.map(work, range(len(storages)), storages)), notices


def test_all_take_the_newest(tmp_path: Path) -> None:
    write(tmp_path, 1, 50, 60)
    results, notices = agree(LocalStorage(tmp_path), LocalStorage(tmp_path))
    assert [one.step for one in results] == [60, 60]
    assert notices == []


def test_without_a_checkpoint_all_begin(tmp_path: Path) -> None:
    assert agree(LocalStorage(tmp_path), LocalStorage(tmp_path)) == ([None, None], [])


def test_all_take_the_newest_that_all_can_read(tmp_path: Path) -> None:
    write(tmp_path, 1, 50, 60, 70)
    views = (LocalStorage(tmp_path), Damaged(tmp_path, 70), Damaged(tmp_path, 60))
    results, notices = agree(*views)
    assert [one.step for one in results] == [50, 50, 50]
    assert all(one.tensors["w"].tolist() == [50.0] * 3 for one in results)
    assert any(line.startswith("worker 1: step-00000070 was passed over: ") for line in notices)


def test_a_worker_that_can_read_none_ends_all_with_its_number_and_file(tmp_path: Path) -> None:
    write(tmp_path, 50, 60)
    (tmp_path / "bad").mkdir()
    write(tmp_path / "bad", 50, 60)
    for shard in (tmp_path / "bad").glob("*/*.safetensors"):
        shard.write_bytes(shard.read_bytes()[:-1] + b"\0\0")
    results, _ = agree(LocalStorage(tmp_path), LocalStorage(tmp_path / "bad"))
    for error in results:
        assert isinstance(error, CheckpointError)
        assert error.what.startswith("worker 1: none of the checkpoints verifies")
        assert "step-00000060 was passed over: " in error.what
        assert ".safetensors" in error.what


def test_workers_on_storage_of_their_own_are_told_so(tmp_path: Path) -> None:
    write(tmp_path / "a", 50)
    results, _ = agree(LocalStorage(tmp_path / "a"), LocalStorage(tmp_path / "b"))
    assert {error.what for error in results} == {
        "worker 1 finds no checkpoint, and worker 0 finds that of step 50"
    }
    write(tmp_path / "b", 50, value=1.0)
    results, _ = agree(LocalStorage(tmp_path / "a"), LocalStorage(tmp_path / "b"))
    assert {error.what for error in results} == {"workers 0 and 1 read different checkpoints of step 50"}
    assert all("all machines share" in error.remedy for error in results)
