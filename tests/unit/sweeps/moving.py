"""A job in virtual time whose best learning rate moves while it trains, and sweeps of it with a population."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raygen.spec.sweep.sweep import Sweep
from raygen.storage import LocalStorage
from raygen.sweeps.directory import SweepDirectory
from raygen.sweeps.events import Event
from tests.sweeps import RATE, a_sweep
from tests.unit.sweeps.virtual import VirtualWorkers

STEPS, EVERY = 100, 10
DROPOUT = "model.transformer.dropout"
PARAMETERS = [
    {"path": RATE, "type": "Real", "low": 1e-4, "high": 1e-1, "scale": "Log"},
    {"path": DROPOUT, "type": "Real", "low": 0, "high": 0.5},
]


def population_sweep(kind: str = "PBT", trials: int = 60, **changes: Any) -> Sweep:
    """A sweep with a population of 8."""
    scheduler = {"type": kind} | ({"firstSteps": EVERY} if kind in ("PBT", "PB2") else {})
    return a_sweep(
        **{
            "template__spec__training__duration": {"steps": STEPS},
            "template__spec__evaluation__everySteps": EVERY,
            "template__spec__checkpoint__everySteps": EVERY,
            "parameters": PARAMETERS,
            "scheduler": scheduler,
            "budget": {"trials": trials},
            **changes,
        }
    )


def moving_loss(spec: Mapping[str, Any], step: int) -> dict[str, float]:
    """Each step takes from the loss what its rate and dropout are worth, of which the best ones fall and rise with the steps."""
    training, transformer = spec["training"], spec["model"]["transformer"]
    rate, dropout = training["optimizer"]["learningRate"], transformer["dropout"]
    changes = {one["atStep"]: one["values"] for one in training.get("changes", ())}
    total = 0.0
    for done in range(step):
        values = changes.get(done, {})
        rate, dropout = values.get(RATE, rate), values.get(DROPOUT, dropout)
        best = -1.0 - 3.0 * done / STEPS
        total += 1 - min((math.log10(rate) - best) ** 2, 4) / 4 - abs(dropout - 0.5 * done / STEPS)
    return {"loss": -total}


def workers(count: int, **more: Any) -> VirtualWorkers:
    """Workers of it."""
    return VirtualWorkers(count, moving_loss, STEPS, EVERY, **more)


def events_at(folder: Path) -> list[Event]:
    return SweepDirectory(LocalStorage(folder)).read()
