"""What a run tells those who watch it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from raygen.models.protocol import Sample


@dataclass(frozen=True)
class Plan:
    """What is about to run.

    Attributes:
        run: URI of the run directory.
        attempt: Number of this attempt, from 1.
        parameters: Trained parameters.
        device: Name of the device.
        first_step: Step that comes first; above 1 when the run goes on.
        steps: Last step.
    """

    run: str
    attempt: int
    parameters: int
    device: str
    first_step: int
    steps: int


@dataclass(frozen=True)
class Progress:
    """Where training is.

    Attributes:
        step: Steps done.
        steps: Steps in all.
        loss: Training loss of the newest step that was read from the device.
        throughput: Units per second over the newest steps.
        unit: What throughput counts, tokens for text.
        seconds_left: Estimated time to the last step.
        checkpoint: Step of the newest checkpoint, or None.
        trained: Time in training steps so far, in seconds.
        waited: Of that the time that the host waited for data, in seconds.
        saving: Time so far that training stood still for checkpoints, in seconds; most of their writing goes on beside it.
        goodput: Share of the attempt's time that was spent in training steps (`train.goodput`); None in a worker, which
            does not know when the attempt began.
    """

    step: int
    steps: int
    loss: float
    throughput: float
    unit: str
    seconds_left: float
    checkpoint: int | None
    trained: float = 0.0
    waited: float = 0.0
    saving: float = 0.0
    goodput: float | None = None


@dataclass(frozen=True)
class Loss:
    """Why all workers are started again.

    Attributes:
        cause: What happened, as a sentence without a full stop.
        drained: Whether a worker's pod was about to go, so that all had left a checkpoint before.
    """

    cause: str
    drained: bool


class Observer(Protocol):
    """Takes the events of a run; called on the training thread, so it must not block."""

    def notice(self, message: str) -> None:
        """Something that a person should know."""

    def started(self, plan: Plan) -> None:
        """Training is about to begin."""

    def ready(self, seconds: Mapping[str, float]) -> None:
        """The first step is done; seconds that each phase took before that, by name (`train.startup`)."""

    def progressed(self, progress: Progress) -> None:
        """Some steps are done."""

    def evaluated(self, step: int, values: Mapping[str, float]) -> None:
        """The validation split was measured."""

    def sampled(self, step: int, samples: Sequence[Sample]) -> None:
        """The model generated."""

    def saved(self, step: int) -> None:
        """A checkpoint is on its way to storage."""

    def lost(self, loss: Loss) -> None:
        """Workers were lost; all are started again, which `started` ends."""


class Silent:
    """An observer that does nothing."""

    def notice(self, message: str) -> None:
        """Does nothing."""

    def started(self, plan: Plan) -> None:
        """Does nothing."""

    def ready(self, seconds: Mapping[str, float]) -> None:
        """Does nothing."""

    def progressed(self, progress: Progress) -> None:
        """Does nothing."""

    def evaluated(self, step: int, values: Mapping[str, float]) -> None:
        """Does nothing."""

    def sampled(self, step: int, samples: Sequence[Sample]) -> None:
        """Does nothing."""

    def saved(self, step: int) -> None:
        """Does nothing."""

    def lost(self, loss: Loss) -> None:
        """Does nothing."""


class Several:
    """Passes every event on to several observers, in order."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def notice(self, message: str) -> None:
        """Passes it on."""
        for observer in self._observers:
            observer.notice(message)

    def started(self, plan: Plan) -> None:
        """Passes it on."""
        for observer in self._observers:
            observer.started(plan)

    def ready(self, seconds: Mapping[str, float]) -> None:
        """Passes it on."""
        for observer in self._observers:
            observer.ready(seconds)

    def progressed(self, progress: Progress) -> None:
        """Passes it on."""
        for observer in self._observers:
            observer.progressed(progress)

    def evaluated(self, step: int, values: Mapping[str, float]) -> None:
        """Passes it on."""
        for observer in self._observers:
            observer.evaluated(step, values)

    def sampled(self, step: int, samples: Sequence[Sample]) -> None:
        """Passes it on."""
        for observer in self._observers:
            observer.sampled(step, samples)

    def saved(self, step: int) -> None:
        """Passes it on."""
        for observer in self._observers:
            observer.saved(step)

    def lost(self, loss: Loss) -> None:
        """Passes it on."""
        for observer in self._observers:
            observer.lost(loss)
