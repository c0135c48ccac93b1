"""Histories of sweeps that train nothing, and searches over them."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from raygen.spec.sweep.domains import Values
from raygen.spec.sweep.space import Space
from raygen.spec.sweep.sweep import Sweep
from raygen.sweeps.events import Began, Ended, Event, Leased, Proposed, Reported, Returned
from raygen.sweeps.history import History
from raygen.sweeps.search.opening import open_search
from raygen.sweeps.search.protocol import Proposal
from tests.sweeps import LAYERS, RATE, a_sweep

TYPE, MATRIX, WIDTH, BETAS, DECAY = (
    "training.optimizer.type",
    "training.optimizer.matrixLearningRate",
    "model.transformer.hiddenSize",
    "training.optimizer.betas",
    "training.optimizer.weightDecay",
)
LEARNING_RATE = {"path": RATE, "type": "Real", "low": 1e-4, "high": 1e-1, "scale": "Log"}
WEIGHT_DECAY = {"path": DECAY, "type": "Real", "low": 0, "high": 1}
OPTIMIZER = {"path": TYPE, "type": "Choice", "values": ["AdamW", "Muon"]}
MATRIX_RATE = {
    "path": MATRIX,
    "type": "Real",
    "low": 1e-3,
    "high": 1,
    "scale": "Log",
    "when": {"path": TYPE, "values": ["Muon"]},
}
NUMBER_OF_LAYERS = {"path": LAYERS, "type": "Integer", "low": 1, "high": 4}
HIDDEN_SIZE = {"path": WIDTH, "type": "Integer", "low": 2, "high": 256, "step": 2, "scale": "Log"}
MOMENTS = {"path": BETAS, "type": "Choice", "values": [[0.9, 0.95], [0.9, 0.99], [0.8, 0.9]]}
MIXED = [MATRIX_RATE, LEARNING_RATE, OPTIMIZER, NUMBER_OF_LAYERS, HIDDEN_SIZE, MOMENTS]
"""A parameter of each kind, one of which takes part at times and stands before the one that decides."""
REALS = [LEARNING_RATE, WEIGHT_DECAY]
METRICS = [{"name": name, "type": "ValidationLoss"} for name in ("loss", "other", "size")]
OBJECTIVES = [{"metric": "loss", "goal": "Minimize"}, {"metric": "other", "goal": "Maximize"}]
CONSTRAINTS = [{"metric": "size", "atMost": 0.5}]

Measure = Callable[[Values], Mapping[str, float]]


def sweep_of(kind: str, parameters: list[dict[str, Any]] = REALS, **changes: Any) -> Sweep:
    """A sweep with a search of a type.

    Args:
        kind: The type.
        parameters: What varies.
        changes: See `tests.sweeps.sweep_document`; settings of the search as `initial_trials` and `population`.
    """
    settings = {to: changes.pop(name) for name, to in _SETTINGS.items() if name in changes}
    return a_sweep(
        parameters=parameters,
        search={"type": kind, **settings},
        template__spec__evaluation__metrics=METRICS,
        **changes,
    )


_SETTINGS = {"initial_trials": "initialTrials", "population": "population"}


@dataclass
class Course:
    """A sweep as it goes on, and its search.

    Args:
        sweep: The sweep.

    Attributes:
        events: All that has happened.
    """

    sweep: Sweep
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.space = Space(self.sweep)
        self.history = self.empty()
        self.search = open_search(self.sweep.spec, self.space)

    def empty(self) -> History:
        return History(self.sweep.spec.objectives, self.sweep.spec.constraints)

    def take(self, event: Event) -> None:
        self.events.append(event)
        self.history.take(event)

    def propose(self) -> Proposal | None:
        """What is proposed; nothing happens."""
        return self.search.propose(self.history)

    def afresh(self) -> Proposal | None:
        """What a search proposes that has never been asked before, of a history that is read at once."""
        history = self.empty()
        for event in self.events:
            history.take(event)
        return open_search(self.sweep.spec, self.space).propose(history)

    def begin(self, proposal: Proposal) -> int:
        """A trial begins."""
        number = len(self.history.trials)
        self.take(Proposed(number, proposal.values, proposal.source, 0.0))
        self.take(Leased(number, None, 0.0))
        return number

    def end(self, number: int, metrics: Mapping[str, float], step: int = 100) -> None:
        """A trial has been trained whole."""
        self.take(Reported(number, step, metrics, 0.0))
        self.take(Ended(number, "Completed", "", "", 0.0))

    def run(self, trials: int, measure: Measure, concurrency: int = 1) -> list[Proposal]:
        """So many trials, of which as many run at a time; one that began first ends first."""
        proposals: list[Proposal] = []
        running: list[int] = []
        while len(proposals) < trials and (proposal := self.propose()) is not None:
            proposals.append(proposal)
            running.append(self.begin(proposal))
            if len(running) == concurrency:
                number = running.pop(0)
                self.end(number, measure(self.history.trials[number].values))
        for number in running:
            self.end(number, measure(self.history.trials[number].values))
        return proposals


def something(course: Course, draw: random.Random) -> None:
    """Something happens, of all that may, to a trial that has not ended."""
    alive = [one for one in course.history.trials if not one.has_ended]
    if draw.random() < 0.03:
        course.take(Began(2, len(course.events), 1, None, 0.0))
        return
    if not alive:
        return
    trial = draw.choice(alive)
    if trial.state == "Waiting":
        if draw.random() < 0.2:
            course.take(Ended(trial.number, "Stopped", "WorseThanMedian", "", 0.0))
        else:
            course.take(Leased(trial.number, None, 0.0))
        return
    what, step = draw.random(), trial.step + 10
    if what < 0.6 and step <= 40:
        values = {
            name: draw.choice((0.0, 1e9, draw.gauss(0, 1), draw.random()))
            for name in ("loss", "other", "size")
        }
        course.take(Reported(trial.number, step, values, 0.0))
    elif what < 0.75:
        course.take(Returned(trial.number, trial.step, draw.choice(("Decision", "WorkerLost")), 0.0))
    elif what < 0.8:
        course.take(Ended(trial.number, "Failed", "OutOfMemory", "", 0.0))
    elif trial.reports:
        course.take(Ended(trial.number, "Completed", "", "", 0.0))
