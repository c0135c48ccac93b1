"""One worker alone, with a store and a process group of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch.distributed as dist

from raygen.run.directory import AttemptRecord
from raygen.spec import parse
from raygen.training.engine.agreement import TCPStore
from raygen.training.ray.mailbox import BEGUN, RESULT
from raygen.training.ray.worker import Begun, Task, work
from tests.jobs import job_document


@pytest.fixture
def store() -> Iterator[TCPStore]:
    made = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=10))
    record = AttemptRecord(number=1, host="h", process=1, started="", raygen="", resumed_from=0)
    made.set(BEGUN, json.dumps(asdict(Begun(attempt=asdict(record), steps=20, fingerprint=""))))
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield made
    dist.destroy_process_group()


def task(base: Path, store: TCPStore, **changes: Any) -> dict[str, Any]:
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
        host="127.0.0.1",
        port=store.port,
        threads=1,
    )
    return asdict(usual) | changes


def test_an_error_that_would_come_again_is_told_and_not_raised(
    base: Path, store: TCPStore, capsys: pytest.CaptureFixture[str]
) -> None:
    work(task(base, store))
    document = json.loads(store.get(RESULT))
    assert document["error"] == "DataError"
    assert "reads other data than worker 0" in document["what"]


def test_a_fault_in_the_code_names_its_place(
    base: Path, store: TCPStore, capsys: pytest.CaptureFixture[str]
) -> None:
    work(task(base, store, storage=3))
    document = json.loads(store.get(RESULT))
    assert document["error"] == "RunError"
    assert document["what"].startswith("worker 0 raised TypeError: ")
    assert ", line " in document["where"]
    assert "Traceback" in capsys.readouterr().err


def test_that_another_cannot_be_reached_is_raised_for_ray(
    base: Path, store: TCPStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: Any) -> None:
        raise RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer")

    monkeypatch.setattr("raygen.training.ray.worker.open_dataset", lost)
    with pytest.raises(RuntimeError, match="closed by peer"):
        work(task(base, store))
    assert not store.check([RESULT])
