"""What is known of a run that has ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

EXIT_CODES = {"Succeeded": 0, "Stopped": 3, "DryRun": 0}


@dataclass(frozen=True)
class Result:
    """How a run ended.

    Attributes:
        state: Succeeded, Stopped (resumable), or DryRun.
        reason: Completed, EarlyStopped, AlreadyComplete or Valid; of a run that stopped the signal, StopAt,
            StoppedByControl, PodLeaving, or what `Control.stop` was given.
        run: URI of the run directory.
        step: Steps done.
        steps: Steps asked for.
        loss: Training loss of the last step; NaN if no step was done.
        metrics: Newest value of each metric of `evaluation.metrics`.
        best: Best value of each.
        attempt: Number of the attempt, from 1; 0 if none was begun.
        seconds: Wall time of this attempt.
        report: Path of report.html, or None.
        guards: What guards found: type, action, step, value, threshold, message and remedy of each.
        remarks: What was skipped or converted while the data was read: action, unit, count, reason, examples of each.
    """

    state: Literal["Succeeded", "Stopped", "DryRun"]
    reason: str
    run: str
    step: int
    steps: int
    loss: float
    metrics: Mapping[str, float]
    best: Mapping[str, float]
    attempt: int
    seconds: float
    report: str | None
    guards: Sequence[Mapping[str, Any]] = ()
    remarks: Sequence[Mapping[str, Any]] = ()

    @property
    def exit_code(self) -> int:
        """The exit code that says the same."""
        return EXIT_CODES[self.state]
