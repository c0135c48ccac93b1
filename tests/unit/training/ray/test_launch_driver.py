"""What a driver and a loop hold on to: not the data, models and checkpoints that only the beginning needs."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from raygen.models.registry import build_family
from raygen.training import driver, prepare
from raygen.training.ray import launch
from tests.jobs import job_document
from tests.unit.training.runs import Watcher, train

LONGER = job_document(training__duration__steps=25)


class Watched:
    """Weak references to all that a run opens."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[weakref.ref[Any]] = []
        self.tensors: list[weakref.ref[torch.Tensor]] = []
        self.devices: list[torch.device] = []
        opened, newest = prepare.open_data, prepare.latest

        def latest(*arguments: Any, **options: Any) -> Any:
            found = newest(*arguments, **options)
            if found is not None:
                self.tensors.extend(weakref.ref(tensor) for tensor in found.tensors.values())
            return found

        def made(job: Any, domain: Any, device: torch.device) -> Any:
            self.devices.append(device)
            family = build_family(job, domain, device)
            self.made.extend(weakref.ref(network) for network in family.networks.values())
            return family

        def data(*arguments: Any) -> Any:
            found = opened(*arguments)
            self.made.append(weakref.ref(found))
            return found

        monkeypatch.setattr(prepare, "latest", latest)
        monkeypatch.setattr(prepare, "open_data", data)
        monkeypatch.setattr(driver, "build_family", made)

    def alive(self) -> list[Any]:
        """What of it is still held."""
        gc.collect()
        return [one for one in (ref() for ref in (*self.made, *self.tensors)) if one is not None]


def test_a_driver_of_ray_workers_holds_neither_data_nor_model_nor_checkpoint(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(base)
    watched = Watched(monkeypatch)
    held: list[Any] = []

    def launched(*_: Any) -> None:
        held.append(watched.alive())

    monkeypatch.setattr(launch, "launch", launched)
    # The driver's machine may have an accelerator; it is the workers'.
    monkeypatch.setattr(prepare, "choose_device", lambda name: torch.device("meta"))
    result = train(base, LONGER, distributed=True)
    assert (result.state, result.step) == ("Stopped", 20)
    assert held == [[]]
    assert len(watched.made) == 2
    # Checkpoints are verified here, and loaded by the workers.
    assert watched.tensors == []
    assert watched.devices == [torch.device("cpu")]


def test_a_driver_lets_go_of_the_weights_that_a_run_starts_from(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(base)
    watched = Watched(monkeypatch)
    held: list[Any] = []
    starts: list[Any] = []
    ancestor = prepare.RunRecord.checkpoint

    def checkpoint(*arguments: Any) -> Any:
        found = ancestor(*arguments)
        starts.extend(weakref.ref(tensor) for tensor in found.tensors.values())
        return found

    monkeypatch.setattr(prepare.RunRecord, "checkpoint", checkpoint)
    monkeypatch.setattr(
        launch, "launch", lambda *_: held.append([*watched.alive(), *(ref() for ref in starts if ref())])
    )
    train(base, run="child", parent=str(base / "runs" / "tiny"), distributed=True)
    assert starts
    assert held == [[]]


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
