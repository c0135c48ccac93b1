"""One worker alone, with a store and a process group of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch.distributed as dist

from raygen.run.directory import AttemptRecord
from raygen.spec import parse
from raygen.training.engine.store import Table
from raygen.training.ray.mailbox import BEGUN, RESULT, ClaimedAttempt, Task
from raygen.training.ray.wire import Address, serve
from raygen.training.ray.worker import work
from tests.jobs import job_document


@pytest.fixture
def store() -> Iterator[Table]:
    made = Table(10)
    record = AttemptRecord(number=1, host="h", process=1, started="", raygen="", resumed_from=0)
    made.set(BEGUN, json.dumps(asdict(ClaimedAttempt(attempt=asdict(record), steps=20, fingerprint=""))))
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield made
    dist.destroy_process_group()


@pytest.fixture
def driver(store: Table) -> Iterator[Address]:
    with serve(store, "127.0.0.1") as address:
        yield address


def task(base: Path, **changes: Any) -> Task:
    job = parse(job_document()).model_dump(mode="json", exclude_none=True)
    usual = Task(
        job=job,
        base=str(base),
        storage=str(base / "runs"),
        run="tiny",
        parent=None,
        rollbacks=[],
        stop_at=None,
        reports=False,
        scratch="",
        threads=1,
    )
    return replace(usual, **changes)


def test_an_error_that_would_come_again_is_told_and_not_raised(
    base: Path, store: Table, driver: Address, capsys: pytest.CaptureFixture[str]
) -> None:
    work(task(base), driver)
    document = json.loads(store.get(RESULT))
    assert document["error"] == "DataError"
    assert "reads other data than worker 0" in document["what"]


def test_a_fault_in_the_code_names_its_place(
    base: Path, store: Table, driver: Address, capsys: pytest.CaptureFixture[str]
) -> None:
    work(task(base, storage=3), driver)
    document = json.loads(store.get(RESULT))
    assert document["error"] == "RunError"
    assert document["what"].startswith("worker 0 raised TypeError: ")
    assert ", line " in document["where"]
    assert "Traceback" in capsys.readouterr().err


def test_that_another_cannot_be_reached_is_raised_for_ray(
    base: Path, store: Table, driver: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: Any) -> None:
        raise RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer")

    monkeypatch.setattr("raygen.training.ray.worker.open_dataset", lost)
    with pytest.raises(RuntimeError, match="closed by peer"):
        work(task(base), driver)
    assert not store.check([RESULT])
