"""What decides how long each trial trains, as the driver sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from raygen.sweeps.history import History


@dataclass(frozen=True)
class Train:
    """Have a trial train.

    Attributes:
        trial: Number of one that waits; None: a new one.
        until: The step at which it is to come back; None: at its end.
    """

    trial: int | None
    until: int | None


@dataclass(frozen=True)
class End:
    """Have a trial end that waits.

    Attributes:
        trial: Its number.
        reason: One word for programs, such as WorseThanMedian.
        message: A sentence for people, with the numbers that decided.
    """

    trial: int
    reason: str
    message: str


@dataclass(frozen=True)
class Fork:
    """Have a new trial go on with the training of another one, under values that are to be chosen.

    Attributes:
        parent: Number of the other one.
        step: After how many steps of its training.
        replaces: The trial whose place in a population it takes.
        until: The step at which it is to come back; None: at its end.
    """

    parent: int
    step: int
    replaces: int
    until: int | None


Decision = Train | End | Fork


class Scheduler(Protocol):
    """Decides. What it decides is a function of its settings and the history, as with `raygen.sweeps.search.protocol.Search`."""

    def decide(self, history: History, *, may_begin: bool) -> Decision | None:
        """What is to be done next, now that a worker is free.

        Args:
            history: What is known. A trial that waits and has not ended may go on.
            may_begin: Whether a new trial may begin.

        Returns:
            None: nothing, until a trial that is running reports or returns. If none is running, the sweep is over.
        """
