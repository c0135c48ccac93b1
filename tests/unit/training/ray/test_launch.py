"""What is handed to Ray Train; that it works is in tests/integration/test_workers.py."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.train.torch import TorchConfig
from ray.train.torch import config as ray_torch

from raygen.spec import Scale
from raygen.training.ray.launch import make_trainer
from raygen.training.ray.worker import Task

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
    host="127.0.0.1",
    port=1,
    threads=1,
)


def chosen(trainer: Any, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """How Ray has this trainer's workers talk, on workers that only note what they are told to do."""
    config: TorchConfig = trainer.backend_config
    backends: list[str] = []

    def note(rank: int, function: Any, *_: Any, **options: Any) -> Any:
        if "backend" in options:
            backends.append(options["backend"])
        return ("127.0.0.1", 1) if function is ray_torch.get_address_and_port else None

    class Workers(SimpleNamespace):
        def __len__(self) -> int:
            return 2

    workers = Workers(
        get_resources_per_worker=lambda: trainer.scaling_config.resources_per_worker,
        execute_single=note,
        execute_single_async=note,
        execute=lambda function, **_: None,
    )
    monkeypatch.setattr(ray_torch.ray, "get", lambda values: values)
    config.backend_cls().on_start(workers, config)
    return set(backends)


@pytest.mark.parametrize(("gpus", "backend"), [(0, "gloo"), (1, "nccl"), (8, "nccl")])
def test_workers_talk_by_what_they_have_and_not_by_what_the_driver_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpus: int, backend: str
) -> None:
    scale = Scale.model_validate({"workers": 2, "gpusPerWorker": gpus})
    trainer = make_trainer(scale, 1, TASK, tmp_path)
    assert trainer.scaling_config.use_gpu is (gpus > 0)
    assert chosen(trainer, monkeypatch) == {backend}


def test_ray_counts_no_failures_since_it_would_count_drained_pods(tmp_path: Path) -> None:
    failures = make_trainer(Scale(workers=2), 1, TASK, tmp_path).run_config.failure_config
    assert (failures.max_failures, failures.controller_failure_limit) == (-1, 3)
