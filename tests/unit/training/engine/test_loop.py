"""What the loop gives to a family."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from raygen.checkpoint import latest
from raygen.data.readers import open_data
from raygen.errors import DataError, GuardError
from raygen.models.protocol import SHOWN, Alone, Sample, SampleRequest, Workers
from raygen.models.registry import build_family
from raygen.parallel.choice import make_strategy
from raygen.parallel.lanes import micro_batches, validation_batches
from raygen.parallel.whole import SingleWorker
from raygen.run.directory import RunDirectory
from raygen.spec import parse, resolve
from raygen.storage import open_storage
from raygen.training.engine import agreement
from raygen.training.engine.agreement import AbandonedError, Group, OwnDecisions
from raygen.training.engine.attempt import AttemptContext, train_attempt
from raygen.training.engine.control import Control
from raygen.training.engine.guards import Guards
from raygen.training.engine.loop import State
from raygen.training.engine.store import Table
from raygen.training.observers.startup import Startup
from tests.jobs import image_job_document, job_document
from tests.unit.training.bigram import Bigram
from tests.unit.training.runs import Watcher, losses

CPU = torch.device("cpu")


def worker(rank: int, count: int) -> Workers:
    """One of several, whose sums are its own."""
    one: Any = SimpleNamespace(rank=rank, count=count, sum=Alone().sum, start_sum=Alone().start_sum)
    return one


@pytest.mark.parametrize(
    ("whole", "micro", "workers"), [(4, None, 1), (4, 1, 1), (100, 3, 1), (12, None, 5), (12, 12, 5)]
)
def test_validation_takes_no_more_samples_at_once_than_training(
    base: Path, whole: int, micro: int | None, workers: int
) -> None:
    document = job_document(training__globalBatchSize=whole, training__microBatchSize=micro)
    job = resolve(parse(document))
    data = open_data(job, base, {})
    split = np.concatenate([arrays.arrays["inputs"] for arrays in data.validation_batches(64)])
    places: dict[int, Any] = {}
    for rank in range(workers):
        own = worker(rank, workers)
        trained = [
            len(part.draws.samples) for part in micro_batches(job, data, CPU, 1, make_strategy(own), own)
        ]
        for batch, draws, _ in validation_batches(job, data, CPU, make_strategy(own)):
            assert len(batch["inputs"]) == len(draws.samples) <= max(trained)
            assert not places.keys() & set(draws.samples)
            places.update(zip(draws.samples, batch["inputs"].numpy(), strict=True))
    assert sorted(places) == list(range(len(split)))
    assert all((places[place] == split[place]).all() for place in places)


@pytest.mark.parametrize("micro", [None, 1, 3])
def test_pictures_show_as_many_images_whatever_the_micro_batch(image_base: Path, micro: int | None) -> None:
    changes = {"training__globalBatchSize": 32, "data__validation__fraction": 0.2}
    job = resolve(parse(image_job_document("VAE", training__microBatchSize=micro, **changes)))
    data = open_data(job, image_base, {})
    family: Any = build_family(job, data.domain, CPU)
    first = next(iter(data.validation_batches(SHOWN))).arrays["images"]
    for _ in range(2):
        with torch.inference_mode():
            for batch, draws, _ in validation_batches(job, data, CPU, SingleWorker()):
                family.evaluate(batch, draws)
        assert family.shown.numpy().tolist() == first.tolist()


class Talker(Bigram):
    """Repeats itself, and counts how often it was asked."""

    asked = 0

    def sample(self, request: SampleRequest) -> list[Sample]:
        self.asked += 1
        return [Sample(prompt="the ", text="so it goes " * 20)]


class Replay(OwnDecisions):
    """Answers the second worker with what the first one gathered."""

    def __init__(self, first: list[Any] | None = None) -> None:
        super().__init__()
        self.said: list[Any] = []
        self._first = first

    def gather(self, values: Any) -> Any:
        self.said.append(values)
        return [values] if self._first is None else [self._first[len(self.said) - 1], values]


def context_of(
    job: Any,
    directory: RunDirectory,
    attempt: Any,
    data: Any,
    family: Any,
    watcher: Watcher,
    workers: Workers,
    agreement: Any,
) -> AttemptContext:
    """A worker's attempt of 20 steps, from the start."""
    return AttemptContext(
        job=job,
        base=Path(),
        directory=directory,
        attempt=attempt,
        steps=20,
        rollbacks=[],
        data=data,
        family=family,
        device=CPU,
        checkpoint=None,
        state=State.new(),
        control=Control(),
        guards=Guards(job.spec.training, 0, watcher.notice),
        observer=watcher,
        workers=workers,
        strategy=make_strategy(workers),
        agreement=agreement,
        startup=Startup(),
    )


def test_one_worker_generates_and_the_guards_of_all_look_at_its_texts(base: Path) -> None:
    guard = {"type": "TextRepetition", "action": "Stop"}
    document = job_document(
        training__optimizer={"type": "SGD", "learningRate": 0.1},
        training__guards=[guard],
        evaluation__metrics=[],
        checkpoint__everySteps=None,
    )
    job = resolve(parse(document))
    data = open_data(job, base, {})
    directory = RunDirectory(open_storage(str(base / "runs")), "tiny")
    said: list[Any] | None = None
    for rank in (0, 1):
        family, watcher = Talker(data.domain.size), Watcher()
        agreement = Replay(said)
        workers = worker(rank, 2)
        context = context_of(job, directory, directory.claim(0), data, family, watcher, workers, agreement)
        with pytest.raises(GuardError, match="are repeats at step 10"):
            train_attempt(context)
        said = agreement.said
        assert family.asked == (rank == 0)
    assert [file.step for file in directory.samples()] == [10]


SECONDS = 30.0


class Meetings:
    """Where two threads meet, again and again, until one leaves. What both have come to has happened for both, even if one of them
    leaves before the other one has noticed, which is what a barrier of `threading` does not promise.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._came, self._left = 0, False

    def meet(self) -> None:
        with self._changed:
            whole = self._came // 2 * 2 + 2
            self._came += 1
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._came >= whole or self._left, SECONDS)
            if self._came < whole:
                raise RuntimeError("the other worker has left")

    def leave(self) -> None:
        with self._changed:
            self._left = True
            self._changed.notify_all()


class Together(Group):
    """One of two workers in threads, whose sums are its own, once both have come."""

    def __init__(self, meetings: Meetings, store: Table, rank: int) -> None:
        super().__init__(store, 1, Control(), rank=rank, count=2)
        self._meetings = meetings

    def sum(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        self._meetings.meet()
        return Alone().sum(*tensors)

    def start_sum(self, tensor: torch.Tensor) -> Any:
        return Alone().start_sum(tensor)


@pytest.mark.parametrize("split", ["train", "validation"])
@pytest.mark.parametrize("failing", [0, 1])
def test_one_of_two_workers_that_has_no_samples_leaves_a_checkpoint_of_the_last_whole_step(
    base: Path, monkeypatch: pytest.MonkeyPatch, failing: int, split: str
) -> None:
    document = job_document(
        training__optimizer={"type": "SGD", "learningRate": 0.1},
        evaluation__samples=None,
        checkpoint__everySteps=None,
    )
    job = resolve(parse(document))
    directory = RunDirectory(open_storage(str(base / "runs")), "tiny")
    attempt, meetings, store = directory.claim(0), Meetings(), Table(SECONDS)
    monkeypatch.setattr(agreement.collectives, "leave", meetings.leave)

    def work(rank: int) -> None:
        data = open_data(job, base, {})
        if rank == failing:
            take = data.train_batch

            def until(positions: Any) -> Any:
                if positions.start >= 6 * 4:
                    raise DataError("the bucket is gone", where="s3://bucket", remedy="Bring it back.")
                return take(positions)

            def none(size: int) -> Any:
                raise DataError("the bucket is gone", where="s3://bucket", remedy="Bring it back.")

            name, broken = ("train_batch", until) if split == "train" else ("validation_batches", none)
            monkeypatch.setattr(data, name, broken)
        watcher = Watcher()
        together = Together(meetings, store, rank)
        family = Bigram(data.domain.size)
        context = context_of(job, directory, attempt, data, family, watcher, together, together)
        train_attempt(context)

    with ThreadPoolExecutor(2) as threads:
        ends: list[Future[None]] = [threads.submit(work, rank) for rank in (0, 1)]
    told = ends[failing].exception(SECONDS)
    assert isinstance(told, DataError)
    assert (told.what, told.where, told.remedy) == ("the bucket is gone", "s3://bucket", "Bring it back.")
    assert isinstance(ends[1 - failing].exception(SECONDS), AbandonedError)
    step = 6 if split == "train" else 10
    found = latest(directory.checkpoints)
    assert found is not None
    assert found.values["loop"]["step"] == step
    # What was not measured is measured first when the run goes on.
    assert found.values["loop"]["unfinished"] == (split == "validation")
    assert sorted(losses(base)) == list(range(1, step + 1))
