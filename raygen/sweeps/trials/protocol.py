"""What trains trials, as the driver sees it; and what the two say to each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Ancestor:
    """A run whose job agrees with a trial's for some steps, so that its checkpoints of these are the trial's too.

    Attributes:
        run: The name of the run.
        after: Checkpoints of more steps than these,
        until: and of at most these.
    """

    run: str
    after: int
    until: int


@dataclass(frozen=True)
class Judge:
    """A function of a checkpoint.

    Attributes:
        entry_point: module:function.
        seconds: How long a call may take; None: as long as it likes.
    """

    entry_point: str
    seconds: float | None = None


@dataclass(frozen=True)
class TrialTask:
    """A trial that is to train.

    Attributes:
        trial: Its number.
        until: The step at which it comes back; None: at its end.
        job: The whole job, as JSON values.
        base: Folder that its relative source paths start from.
        runs: Folder of all trials' runs.
        run: The name of its run.
        cores: Cores that each of its workers may use.
        functions: Objectives that are functions of a checkpoint, by name.
        ancestors: Runs whose checkpoints it may begin from, the nearest first.
    """

    trial: int
    until: int | None
    job: Mapping[str, Any]
    base: str
    runs: str
    run: str
    cores: int
    functions: Mapping[str, Judge]
    ancestors: tuple[Ancestor, ...] = ()


@dataclass(frozen=True)
class Evaluated:
    """A trial was evaluated.

    Attributes:
        trial: Which.
        step: After how many steps.
        values: Metrics by name, as they came.
        asks: Whether its lease ends here, and it waits to hear of another one.
    """

    trial: int
    step: int
    values: Mapping[str, float]
    asks: bool


@dataclass(frozen=True)
class Left:
    """A trial does not train any more, and its worker is free.

    Attributes:
        trial: Which.
        step: Steps it has done.
        state: Whole: it was trained to its end. Leased: its lease has ended. Stopped: it was asked to. Failed. WorkerLost.
        reason: One word for programs.
        message: A sentence for people.
    """

    trial: int
    step: int
    state: str
    reason: str
    message: str


Message = Evaluated | Left


class Workers(Protocol):
    """Trains several trials at a time."""

    @property
    def free(self) -> int:
        """How many more trials may begin now."""

    def start(self, task: TrialTask) -> None:
        """Has a trial train on a free worker."""

    def answer(self, trial: int, until: int | None, *, stay: bool) -> None:
        """Tells a trial that asks to go on until another step, or, if it is not to stay, to leave."""

    def stop(self, trial: int) -> None:
        """Asks a trial to leave at its next step."""

    def wait(self, seconds: float) -> Sequence[Message]:
        """What trials say, within so many seconds; at once if there is something."""
