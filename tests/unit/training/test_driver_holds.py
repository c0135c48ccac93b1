"""What a driver and a loop hold on to: not the data, models and checkpoints that only the beginning needs."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from raygen.errors import OutputError
from raygen.spec import parse, resolve
from raygen.storage import LocalStorage
from raygen.training import here, prepare
from raygen.training.observers.events import Started
from raygen.training.opening import facts_of, open_dataset, open_model
from raygen.training.ray import launch
from raygen.training.ray.mailbox import ClaimedAttempt, Task
from tests.jobs import job_document
from tests.unit.training.runs import Watcher, train

ROOT = Path(__file__).parents[3]
LIGHT = """
import sys

from pathlib import Path
import raygen.cli.local.train
from raygen.report.gather import write_report
from raygen.run.record import RunRecord
from raygen.spec import parse
from raygen.training import driver
from raygen.training.observers import kubernetes
from raygen.training.prepare import prepare
from raygen.training.ray import launch
from raygen.training.ray.mailbox import ClaimedAttempt, Task
from tests.jobs import job_document

base = Path(sys.argv[1])
job = parse(job_document(training__duration__steps=25, output={"uri": str(base / "runs"), "run": "tiny"}))
plan = prepare(job, base, None, "cpu", strict=False, distributed=True)
write_report(RunRecord.at(plan.directory))
print(plan.step, plan.device, "torch" in sys.modules)
"""
"""What a driver does of a run that has a checkpoint, in a process of its own."""
LONGER = job_document(training__duration__steps=25)


class Watched:
    """Weak references to the tensors of all checkpoints that a run loads; what else it opens is counted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened: list[str] = []
        self.tensors: list[weakref.ref[torch.Tensor]] = []
        newest, dataset, model = prepare.latest, here.open_dataset, here.open_model

        def latest(*arguments: Any, **options: Any) -> Any:
            found = newest(*arguments, **options)
            if found is not None:
                self.tensors.extend(weakref.ref(tensor) for tensor in found.tensors.values())
            return found

        def open_dataset(*arguments: Any) -> Any:
            self.opened.append("data")
            return dataset(*arguments)

        def open_model(*arguments: Any) -> Any:
            self.opened.append("model")
            return model(*arguments)

        monkeypatch.setattr(prepare, "latest", latest)
        monkeypatch.setattr(here, "open_dataset", open_dataset)
        monkeypatch.setattr(here, "open_model", open_model)


class Workers:
    """Workers that open the data, begin, and stop before the first step."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.answers: list[ClaimedAttempt] = []

    def launch(self, scale: Any, task: Any, cores: int, control: Any, *rest: Any) -> None:
        *_, answer = rest
        job = resolve(parse(task.job))
        data = open_dataset(job, Path(task.base), {}, None)
        cpu = torch.device("cpu")
        self.answers.append(answer(facts_of(job, data, open_model(job, data, cpu), cpu)))
        control.stop("SIGTERM")


def test_a_driver_of_ray_workers_opens_neither_data_nor_model_nor_checkpoint(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(base)
    watched, workers = Watched(monkeypatch), Workers(base)
    monkeypatch.setattr(launch, "launch", workers.launch)
    # The driver's machine may have an accelerator; it is the workers'.
    monkeypatch.setattr(prepare, "_device", lambda name, elsewhere: ("meta", 0))
    result = train(base, LONGER, distributed=True)
    assert (result.state, result.reason, result.step, result.attempt) == ("Stopped", "SIGTERM", 20, 2)
    assert watched.opened == []
    assert watched.tensors == []
    (answer,) = workers.answers
    # Which checkpoint they go on from is for workers to say.
    assert (answer.steps, answer.attempt["number"], answer.attempt["resumed_from"]) == (25, 2, None)


def test_a_driver_of_ray_workers_reads_no_shard(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(base)
    read: list[str] = []
    opened = LocalStorage.open

    def counted(storage: LocalStorage, key: str) -> Any:
        read.append(key)
        return opened(storage, key)

    monkeypatch.setattr(LocalStorage, "open", counted)
    monkeypatch.setattr(launch, "launch", Workers(base).launch)
    assert train(base, LONGER, distributed=True).step == 20
    assert not [key for key in read if key.endswith(".safetensors")]


def test_an_attempt_says_where_its_workers_went_on_and_not_what_the_driver_saw(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(base)

    class Elsewhere(Workers):
        def launch(self, scale: Any, task: Any, cores: int, control: Any, *rest: Any) -> None:
            observer, *_ = rest
            super().launch(scale, task, cores, control, *rest)
            for first in (11, 16):
                # Those that come in place of lost ones begin later, and the attempt does not.
                observer.take(Started("tiny", 2, 7, "cpu", first, 25))

    monkeypatch.setattr(launch, "launch", Elsewhere(base).launch)
    train(base, LONGER, distributed=True)
    record = json.loads((base / "runs" / "tiny" / "attempts" / "002.json").read_text())
    assert record["resumed_from"] == 10


def test_a_driver_of_ray_workers_needs_no_pytorch(base: Path) -> None:
    train(base)
    done = subprocess.run(
        [sys.executable, "-c", LIGHT, str(base)], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["20", "cpu", "False"]


def test_the_weights_that_a_run_starts_from_are_the_workers_to_load(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(base)
    tasks: list[Task] = []

    def refuse(*_: Any) -> None:
        raise AssertionError("the driver loads weights")

    def launched(scale: Any, task: Task, cores: int, control: Any, *rest: Any) -> None:
        tasks.append(task)
        control.stop("SIGTERM")

    monkeypatch.setattr(prepare.RunRecord, "checkpoint", refuse)
    monkeypatch.setattr(launch, "launch", launched)
    result = train(base, run="child", parent=str(base / "runs" / "tiny"), distributed=True)
    assert tasks[0].parent == {"uri": str(base / "runs" / "tiny"), "step": 20}
    # Nothing was opened yet, so nothing was written.
    assert (result.state, result.attempt, result.report) == ("Stopped", 0, None)
    assert not (base / "runs" / "child").exists()


def test_other_data_than_the_run_began_with_ends_the_workers(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(base)
    (base / "text.txt").write_text("other words " * 400)
    monkeypatch.setattr(launch, "launch", Workers(base).launch)
    with pytest.raises(OutputError, match="not the data that this run began with"):
        train(base, LONGER, distributed=True)
    assert not (base / "runs" / "tiny" / "attempts" / "002.json").exists()


def test_a_resumed_run_holds_its_state_once(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(base)
    watched = Watched(monkeypatch)
    held: list[Any] = []

    class Ready(Watcher):
        def ready(self, seconds: Mapping[str, float]) -> None:
            gc.collect()
            held.extend(tensor for ref in watched.tensors if (tensor := ref()) is not None)

    train(base, LONGER, observer=Ready())
    assert watched.tensors
    assert held == []
