"""What a run says to those who watch it: events of a few types, and one method that takes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from raygen.models.sample import Sample


@dataclass(frozen=True)
class Notice:
    """Something that a person should know."""

    message: str


@dataclass(frozen=True)
class Preparing:
    """Data is prepared before training.

    Attributes:
        doing: What is done at present.
        done: Parts of it that are done.
        parts: All of its parts; 0 if that is not known yet.
    """

    doing: str
    done: int
    parts: int


@dataclass(frozen=True)
class Started:
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
        waited: Of that the time that the first worker waited for data, in seconds; on CUDA that its device stood still for it.
        saving: Time so far that training stood still for checkpoints, in seconds; most of their writing goes on beside it.
        data_wait: Share of the time of the newest steps in which the first worker waited for data.
        goodput: Share of the attempt's time that was spent in training steps (`observers.goodput`); None in a worker, which
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
    data_wait: float = 0.0
    goodput: float | None = None


@dataclass(frozen=True)
class WorkersLost:
    """Why all workers are started again.

    Attributes:
        cause: What happened, as a sentence without a full stop.
        drained: Whether a worker's pod was about to go, so that all had left a checkpoint before.
    """

    cause: str
    drained: bool


@dataclass(frozen=True)
class Ready:
    """The first step is done; seconds of each phase before that, by its name (`observers.startup`)."""

    seconds: Mapping[str, float]


@dataclass(frozen=True)
class Evaluated:
    """The validation split was measured after this step; values by metric."""

    step: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class Sampled:
    """The model has generated after this step."""

    step: int
    samples: Sequence[Sample]


@dataclass(frozen=True)
class CheckpointStarted:
    """A checkpoint of this step is on its way to storage."""

    step: int


@dataclass(frozen=True)
class GuardTriggered:
    """A guard of this type has found something."""

    guard: str


Event = (
    Notice
    | Preparing
    | Started
    | Ready
    | Progress
    | Evaluated
    | Sampled
    | CheckpointStarted
    | GuardTriggered
    | WorkersLost
)
"""Whatever a run says."""


class EventSink(Protocol):
    """Takes the events of a run. It is called on the training thread, so it must not block."""

    def take(self, event: Event) -> None:
        """Takes an event."""


class Observer:
    """Takes the events of a run by a method for each type; a subclass overrides those that it cares for."""

    def take(self, event: Event) -> None:
        """Calls the method for the event's type."""
        deliver(event, self)

    def notice(self, message: str) -> None:
        """Something that a person should know."""

    def preparing(self, preparing: Preparing) -> None:
        """A part of the data is prepared."""

    def started(self, start: Started) -> None:
        """Training is about to begin."""

    def ready(self, seconds: Mapping[str, float]) -> None:
        """The first step is done; seconds of each phase before that, by its name (`observers.startup`)."""

    def progressed(self, progress: Progress) -> None:
        """Some steps are done."""

    def evaluated(self, step: int, values: Mapping[str, float]) -> None:
        """The validation split was measured."""

    def sampled(self, step: int, samples: Sequence[Sample]) -> None:
        """The model has generated."""

    def checkpoint_started(self, step: int) -> None:
        """A checkpoint is on its way to storage."""

    def guard_triggered(self, guard: str) -> None:
        """A guard of this type has found something."""

    def workers_lost(self, lost: WorkersLost) -> None:
        """Workers were lost; all are started again, which `started` ends."""


def deliver(event: Event, observer: Observer) -> None:
    """Calls an observer's method for the type of an event."""
    match event:
        case Notice(message):
            observer.notice(message)
        case Preparing():
            observer.preparing(event)
        case Started():
            observer.started(event)
        case Ready(seconds):
            observer.ready(seconds)
        case Progress():
            observer.progressed(event)
        case Evaluated(step, values):
            observer.evaluated(step, values)
        case Sampled(step, samples):
            observer.sampled(step, samples)
        case CheckpointStarted(step):
            observer.checkpoint_started(step)
        case GuardTriggered(guard):
            observer.guard_triggered(guard)
        case WorkersLost():
            observer.workers_lost(event)


class Broadcast:
    """Passes every event on to several sinks, in order."""

    def __init__(self, *sinks: EventSink) -> None:
        self._sinks = sinks

    def take(self, event: Event) -> None:
        """Passes an event on."""
        for sink in self._sinks:
            sink.take(event)


def notices_of(sink: EventSink) -> Callable[[str], None]:
    """A function whose sentences become notices."""
    return lambda message: sink.take(Notice(message))
