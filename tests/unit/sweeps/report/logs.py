"""Writes logs of sweeps that nothing has trained."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from raygen.report.sweep import render_sweep
from raygen.run.directory import RunDirectory
from raygen.spec.sweep.sweep import Sweep
from raygen.storage import LocalStorage
from raygen.sweeps.directory import Log, SweepDirectory
from raygen.sweeps.events import Began, Ended, EndState, Event, Leased, Proposed, Reported, Returned
from raygen.sweeps.record import SweepRecord
from raygen.sweeps.report.gather import gather
from tests.sweeps import LAYERS, RATE, a_sweep
from tests.unit.report.test_page import Page, check_inert

OPTIMIZER = "training.optimizer.type"
MATRIX_RATE = "training.optimizer.matrixLearningRate"
DECAY = "training.optimizer.weightDecay"
PARAMETERS = [
    {"path": RATE, "type": "Real", "low": 1e-4, "high": 1e-1, "scale": "Log"},
    {"path": LAYERS, "type": "Integer", "low": 1, "high": 8},
    {"path": OPTIMIZER, "type": "Choice", "values": ["AdamW", "Muon"]},
    {
        "path": MATRIX_RATE,
        "type": "Real",
        "low": 1e-3,
        "high": 1e-1,
        "scale": "Log",
        "when": {"path": OPTIMIZER, "values": ["Muon"]},
    },
    {"path": DECAY, "type": "Real", "low": 0, "high": 0.2},
]
"""Parameters of each kind."""
PLAIN = {RATE: 1e-2, LAYERS: 2, OPTIMIZER: "AdamW", DECAY: 0.1}
"""Values of each but one that takes no part."""
METRICS = [{"name": name, "type": "ValidationLoss"} for name in ("loss", "size")]
TWO = [{"metric": "loss", "goal": "Minimize"}, {"metric": "size", "goal": "Maximize"}]


def the_sweep(**changes: Any) -> Sweep:
    """A sweep over a parameter of each kind."""
    known = {
        "parameters": PARAMETERS,
        "template__spec__evaluation__metrics": METRICS,
        "budget": {"trials": 40},
        "failedTrials": 10_000,
    }
    return a_sweep(**{**known, **changes})


def trial(
    number: int,
    values: Mapping[str, Any],
    reports: Mapping[int, Mapping[str, float]],
    state: EndState | None = "Completed",
    reason: str = "Completed",
    message: str = "",
    source: str = "Random",
) -> Iterator[Event]:
    """The events of one trial, one second long each; without a state it has not ended."""
    at = 10.0 * number
    yield Proposed(number, dict(values), source, at)
    yield Leased(number, None, at)
    for step, metrics in reports.items():
        at += 1
        yield Reported(number, step, dict(metrics), at)
    if state is not None:
        yield Ended(number, state, reason, message, at + 1)


def drawn_trial(number: int, draw: random.Random, state: EndState = "Completed") -> Iterator[Event]:
    """A trial that is good for a learning rate of 1e-2; neither the decay nor the layers matter."""
    values: dict[str, Any] = {
        RATE: 10 ** draw.uniform(-4, -1),
        LAYERS: draw.randint(1, 8),
        OPTIMIZER: draw.choice(["AdamW", "Muon"]),
        DECAY: draw.uniform(0, 0.2),
    }
    if values[OPTIMIZER] == "Muon":
        values[MATRIX_RATE] = 10 ** draw.uniform(-3, -1)
    loss = 1 + (math.log10(values[RATE]) + 2) ** 2 + draw.gauss(0, 0.05)
    size = float(values[LAYERS])
    reports = {10: {"loss": loss + 1, "size": size}, 20: {"loss": loss, "size": size}}
    if state == "Completed":
        return trial(number, values, reports)
    return trial(
        number,
        values,
        {10: reports[10]},
        state,
        "WorseThanMedian" if state == "Stopped" else "OutOfMemoryError",
    )


def drawn_trials(count: int, seed: int = 0) -> Iterator[Event]:
    """Many trials, of which each seventh was stopped and each thirteenth has failed."""
    draw = random.Random(seed)
    for number in range(count):
        state: EndState = "Failed" if number % 13 == 5 else "Stopped" if number % 7 == 3 else "Completed"
        yield from drawn_trial(number, draw, state)


def stopped(number: int, step: int) -> Event:
    """A trial leaves since its driver was stopped."""
    return Returned(number, step, "Stopped", 1000.0)


def written(folder: Path, sweep: Sweep, events: Iterable[Event]) -> SweepRecord:
    """A sweep whose log has these events."""
    directory = SweepDirectory(LocalStorage(folder))
    directory.claim({"host": "here"})
    document = sweep.model_dump(mode="json", exclude_unset=True)
    Log(directory, 1).write([Began(1, 0, 1, document, 0.0), *events])
    return SweepRecord(str(folder))


def write_text_samples(folder: Path, number: int, texts: Sequence[str]) -> None:
    """Samples of a trial's run, each set after ten more steps."""
    run = RunDirectory(LocalStorage(folder / "trials"), f"t{number:04d}")
    for place, text in enumerate(texts, 1):
        run.write_sample(10 * place, "texts.jsonl", json.dumps({"prompt": "the ", "text": text}).encode())


def page_of(record: SweepRecord) -> Page:
    """The page of a sweep, which runs nothing and loads nothing."""
    return check_inert(render_sweep(gather(record)))
