"""What is handed to Ray Train; that it works is in tests/integration/test_workers.py."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from raygen.spec import Scale
from raygen.training.engine.store import Table
from raygen.training.ray import processes
from raygen.training.ray.launch import make_trainer
from raygen.training.ray.mailbox import Task
from raygen.training.ray.wire import Address

STORE, ADDRESS = Table(), Address("127.0.0.1", 1, "canary-token")
TASK = Task(
    job={},
    base="",
    storage="",
    run="tiny",
    parent=None,
    rollbacks=[],
    stop_at=None,
    reports=False,
    scratch="",
    threads=1,
)


def made(scale: Scale, folder: Path) -> Any:
    return make_trainer(scale, 1, TASK, folder, STORE, ADDRESS)


def chosen(trainer: Any, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """How workers are to talk, on workers that only note what they are told to do."""
    config = trainer.backend_config
    backends: list[str] = []

    def note(rank: int, function: Any, *arguments: Any) -> Any:
        if arguments:
            backends.append(arguments[0])
        return ("127.0.0.1", 1)

    class Workers(SimpleNamespace):
        def __len__(self) -> int:
            return 2

    workers = Workers(
        get_resources_per_worker=lambda: trainer.scaling_config.resources_per_worker,
        execute_single=note,
        execute_single_async=note,
    )
    monkeypatch.setattr(processes.ray, "get", lambda values: values)
    config.backend_cls().on_start(workers, config)
    assert len(backends) == 2
    return set(backends)


@pytest.mark.parametrize(("gpus", "backend"), [(0, "gloo"), (1, "nccl"), (8, "nccl")])
def test_workers_talk_by_what_they_have_and_not_by_what_the_driver_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpus: int, backend: str
) -> None:
    scale = Scale.model_validate({"workers": 2, "gpusPerWorker": gpus})
    trainer = made(scale, tmp_path)
    assert trainer.scaling_config.use_gpu is (gpus > 0)
    assert chosen(trainer, monkeypatch) == {backend}


def test_ray_counts_no_failures_since_it_would_count_drained_pods(tmp_path: Path) -> None:
    failures = made(Scale(workers=2), tmp_path).run_config.failure_config
    assert (failures.max_failures, failures.controller_failure_limit) == (-1, 3)


def test_the_token_of_the_drivers_store_is_in_none_of_the_settings_that_ray_shows(tmp_path: Path) -> None:
    trainer = made(Scale(workers=2), tmp_path)
    assert ADDRESS.token not in repr(trainer.train_run_context)
    assert trainer.train_run_context.train_loop_config is None
