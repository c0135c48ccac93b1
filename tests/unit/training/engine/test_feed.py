"""Samples are read ahead of the step that needs them, and errors arrive where they are used."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from raygen.data.protocol import Samples
from raygen.data.readers import open_data
from raygen.errors import DataError
from raygen.parallel.lanes import parts_of
from raygen.parallel.whole import SingleWorker
from raygen.spec import TrainingJob, parse, resolve
from raygen.training.engine import feed as feed_module
from raygen.training.engine.feed import LEAST_AHEAD, MOST_AHEAD, Feed
from tests.jobs import job_document

CPU = torch.device("cpu")


class Watched:
    """A data set that counts the steps that were read, and fails at one of them."""

    def __init__(self, inner: Any, size: int, fails_at: int | None = None) -> None:
        self._inner, self._size, self._fails_at = inner, size, fails_at
        self.read = 0
        self.changed = threading.Condition()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def train_batch(self, positions: range) -> Samples:
        with self.changed:
            self.read += 1
            self.changed.notify_all()
        if positions.start // self._size + 1 == self._fails_at:
            raise DataError("the disk is gone", where="text.txt", remedy="Plug it in.")
        return self._inner.train_batch(positions)

    def wait_for(self, steps: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.read >= steps, timeout=30)


@pytest.fixture
def job() -> TrainingJob:
    return resolve(parse(job_document()))


@pytest.fixture
def feeds() -> Iterator[list[threading.Thread]]:
    """After a test no feed runs on."""
    yield []
    assert not [thread for thread in threading.enumerate() if thread.name == "raygen-feed"]


@pytest.mark.usefixtures("feeds")
def test_steps_come_in_order_and_equal_those_read_at_once(base: Path, job: TrainingJob) -> None:
    data = open_data(job, base, {})
    with Feed(job, data, CPU, SingleWorker(), range(3, 8)) as feed:
        for step in range(3, 8):
            ahead, direct = feed.next() or [], parts_of(job, data, CPU, step, 0, 1)
            assert ahead
            assert [part.draws.key for part in ahead] == [part.draws.key for part in direct]
            for one, other in zip(ahead, direct, strict=True):
                assert all(torch.equal(one.batch[name], other.batch[name]) for name in other.batch)


@pytest.mark.usefixtures("feeds")
def test_it_reads_ahead_but_not_without_end(base: Path, job: TrainingJob) -> None:
    data = Watched(open_data(job, base, {}), job.spec.training.global_batch_size)
    with Feed(job, data, CPU, SingleWorker(), range(1, 1001)) as feed:
        data.wait_for(MOST_AHEAD)
        for _ in range(MOST_AHEAD // 2):
            feed.next()
        data.wait_for(MOST_AHEAD + MOST_AHEAD // 2)
    # Closing takes what waits, and the thread may have begun with one more meanwhile.
    assert data.read < 1000


@pytest.mark.usefixtures("feeds")
def test_an_error_is_raised_at_its_own_step(base: Path, job: TrainingJob) -> None:
    data = Watched(open_data(job, base, {}), job.spec.training.global_batch_size, fails_at=3)
    with Feed(job, data, CPU, SingleWorker(), range(1, 10)) as feed:
        feed.next()
        feed.next()
        with pytest.raises(DataError, match="the disk is gone"):
            feed.next()


@pytest.mark.usefixtures("feeds")
def test_leaving_early_ends_the_thread(base: Path, job: TrainingJob) -> None:
    data = open_data(job, base, {})
    with Feed(job, data, CPU, SingleWorker(), range(1, 10**9)) as feed:
        feed.next()


def test_a_source_that_hangs_keeps_nobody_from_stopping(
    base: Path, job: TrainingJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "LEAVE_S", 0.1)
    released = threading.Event()

    class Hangs(Watched):
        def train_batch(self, positions: range) -> Samples:
            released.wait(60)
            return super().train_batch(positions)

    data = Hangs(open_data(job, base, {}), job.spec.training.global_batch_size)
    with Feed(job, data, CPU, SingleWorker(), range(1, 10)) as feed:
        assert feed.next(lambda: True) is None
    assert data.read == 0
    released.set()
    for thread in threading.enumerate():
        if thread.name == "raygen-feed":
            thread.join(30)


def test_large_samples_wait_in_small_numbers(
    base: Path, job: TrainingJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "AHEAD_BYTES", 1)
    data = Watched(open_data(job, base, {}), job.spec.training.global_batch_size)
    with Feed(job, data, CPU, SingleWorker(), range(1, 1001)) as feed:
        for step in range(1, 9):
            data.wait_for(step)
            feed.next()
            assert data.read <= step + LEAST_AHEAD + 1


@pytest.mark.usefixtures("feeds")
def test_the_thread_that_reads_computes_with_few_threads_and_others_with_theirs(
    base: Path, job: TrainingJob
) -> None:
    inner = open_data(job, base, {})
    seen: list[int] = []

    class Counting:
        weighted = False

        def train_batch(self, positions: range) -> Samples:
            seen.append(torch.get_num_threads())
            return inner.train_batch(positions)

    data: Any = Counting()
    before = torch.get_num_threads()
    torch.set_num_threads(8)
    try:
        with Feed(job, data, CPU, SingleWorker(), range(1, 3)) as feed:
            feed.next()
            later = threading.Thread(target=lambda: seen.append(-torch.get_num_threads()))
            later.start()
            later.join()
            assert torch.get_num_threads() == 8
    finally:
        torch.set_num_threads(before)
    assert {count for count in seen if count > 0} == {2}
    assert -8 in seen
