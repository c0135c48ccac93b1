"""What an attempt remembers while it trains, and what it leaves; needs no PyTorch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from raygen.training.engine.guards import Finding


@dataclass
class State:
    """What the loop must remember to go on exactly, besides tensors.

    Attributes:
        step: Steps done; the data position is step x global batch size.
        best: Best value of each metric so far.
        without_gain: Evaluations in a row without a gain in the metric that earlyStopping names.
        metrics: Values of the newest evaluation.
        measured: Step of the newest evaluation, 0 before the first.
        unfinished: Whether the run stopped while it evaluated or generated after this step; the next attempt does that first.
    """

    step: int
    best: dict[str, float]
    without_gain: int
    metrics: dict[str, float]
    measured: int
    unfinished: bool = False

    @classmethod
    def new(cls) -> State:
        """The state before the first step."""
        return cls(step=0, best={}, without_gain=0, metrics={}, measured=0)

    def values(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Ending:
    """How a loop ended: `reason` is Completed, EarlyStopped, StopAt, or what stopped it, such as a signal."""

    reason: str
    stopped: bool = False


@dataclass(frozen=True)
class Trained:
    """What an attempt leaves.

    Attributes:
        ending: How its loop ended.
        state: The loop's.
        loss: Of its last step; NaN if it did none.
        findings: What guards found.
    """

    ending: Ending
    state: State
    loss: float
    findings: list[Finding]
