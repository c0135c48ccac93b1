"""Going back to a checkpoint from before a trouble.

What was done is written to rollbacks.json before anything is deleted, so that a kill at any moment leaves a run
that finishes going back when it is started again.
"""

from __future__ import annotations

from typing import Any

from raygen.checkpoint import is_finite, survey
from raygen.errors import CheckpointError
from raygen.run.directory import Attempt, RunDirectory
from raygen.spec import Training
from raygen.storage import step_folder
from raygen.training.engine.guards import Finding


def roll_back(directory: RunDirectory, attempt: Attempt, finding: Finding) -> int:
    """Decides on the checkpoint to go back to, writes it down, and deletes those after it.

    Args:
        directory: The run.
        attempt: The one that got into trouble.
        finding: What the guard observed, and since when.

    Returns:
        The checkpoint's step; 0 goes back to the initial weights.
    """
    good = 0
    for folder in sorted(survey(directory.checkpoints), key=lambda one: one.step, reverse=True):
        if folder.complete and folder.step < finding.since and _is_good(directory, folder.step):
            good = folder.step
            break
    record = finding.record() | {"to": good, "attempt": attempt.number}
    attempt.check()
    directory.write_rollbacks([*directory.read_rollbacks(), record])
    discard(directory)
    return good


def discard(directory: RunDirectory) -> None:
    """Deletes the checkpoints that a roll-back has taken back, if there are some left."""
    records = directory.read_rollbacks()
    if not records:
        return
    newest = records[-1]
    for folder in survey(directory.checkpoints):
        if folder.step > newest["to"] and folder.attempt <= newest["attempt"]:
            directory.checkpoints.delete_prefix(f"{step_folder(folder.step)}/")


def rate_factor(training: Training, records: list[dict[str, Any]]) -> float:
    """Factor of the learning rates after these roll-backs."""
    return float(training.roll_back.learning_rate_factor ** len(records))


def _is_good(directory: RunDirectory, step: int) -> bool:
    """Whether a checkpoint verifies and holds numbers: a loss may still be finite when weights no longer are."""
    try:
        return is_finite(directory.checkpoints, step)
    except CheckpointError:
        return False
