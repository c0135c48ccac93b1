"""What happens in a sweep, as its log holds it: everything that is ever decided follows from these, in their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

EndState = Literal["Completed", "Stopped", "Failed"]


@dataclass(frozen=True)
class Began:
    """A driver took over. Trials that trained under the one before go on from their newest checkpoints.

    Attributes:
        driver: Its number, from 1.
        after: How many events came before; what an older driver, which still lived, wrote behind them counts for nothing.
        cores: Cores of each trial, as the first driver found them; part of every trial's job, since they decide rounding.
        sweep: The sweep, if it is another one than before.
        at: Seconds that the sweep has been at work, over all drivers.
    """

    driver: int
    after: int
    cores: int
    sweep: Mapping[str, Any] | None
    at: float


@dataclass(frozen=True)
class Proposed:
    """A new trial.

    Attributes:
        trial: Its number, from 0.
        values: Values by path, of the parameters that take part.
        source: Who chose them: StartingPoint, the search's type, or that of the scheduler.
        at: When; see `Began`.
        parent: The trial whose training it goes on with, under its own values; None: it begins by itself.
        parent_step: After how many steps of that.
        replaces: The trial whose place in a population it takes; None: that of no other.
    """

    trial: int
    values: Mapping[str, Any]
    source: str
    at: float
    parent: int | None = None
    parent_step: int = 0
    replaces: int | None = None


@dataclass(frozen=True)
class Leased:
    """A trial trains, or goes on.

    Attributes:
        trial: Which.
        until: The step at which it comes back; None: at its end.
        at: When; see `Began`.
    """

    trial: int
    until: int | None
    at: float


@dataclass(frozen=True)
class Reported:
    """A trial was evaluated.

    Attributes:
        trial: Which.
        step: After how many steps.
        values: Metrics by name; all are finite.
        at: When; see `Began`.
    """

    trial: int
    step: int
    values: Mapping[str, float]
    at: float


@dataclass(frozen=True)
class Returned:
    """A trial does not train any more, and can go on from a checkpoint.

    Attributes:
        trial: Which.
        step: Steps it has done.
        reason: Decision (its lease ended), Stopped (the sweep was stopped), or WorkerLost.
        at: When; see `Began`.
    """

    trial: int
    step: int
    reason: str
    at: float


@dataclass(frozen=True)
class Ended:
    """A trial has come to its end.

    Attributes:
        trial: Which.
        state: Completed: it was trained whole. Stopped: it was not worth it. Failed: it could not be trained.
        reason: One word for programs.
        message: A sentence for people; empty where the word says it all.
        at: When; see `Began`.
    """

    trial: int
    state: EndState
    reason: str
    message: str
    at: float


Event = Began | Proposed | Leased | Reported | Returned | Ended
_KINDS: Mapping[str, type[Any]] = {
    one.__name__: one for one in (Began, Proposed, Leased, Reported, Returned, Ended)
}


def newest_sweep(events: Sequence[Event]) -> Mapping[str, Any] | None:
    """The sweep as its newest driver had it, as JSON values; None before the first one."""
    began = (event.sweep for event in reversed(events) if isinstance(event, Began))
    return next((sweep for sweep in began if sweep is not None), None)


def cores_of(events: Sequence[Event]) -> int | None:
    """Cores of each trial, as the first driver fixed them; None before it."""
    return next((event.cores for event in events if isinstance(event, Began)), None)


def document_of(event: Event) -> dict[str, Any]:
    """An event as JSON values."""
    return {"event": type(event).__name__, **asdict(event)}


def event_of(document: Mapping[str, Any]) -> Event:
    """The event that was written so.

    Raises:
        KeyError: it is none that this version knows.
        TypeError: it lacks something.
    """
    values = dict(document)
    event: Event = _KINDS[values.pop("event")](**values)
    return event
