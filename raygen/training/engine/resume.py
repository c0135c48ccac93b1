"""Which checkpoint several workers go on from: each reads for itself, and all go on from the same one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from raygen.checkpoint import Loaded, latest
from raygen.errors import CheckpointError
from raygen.storage import Storage
from raygen.training.engine.agreement import Agreement


def agreed_checkpoint(
    checkpoints: Storage, agreement: Agreement, notice: Callable[[str], None]
) -> Loaded | None:
    """The newest checkpoint that all workers can read; None if no save was ever completed.

    All workers call it at the same time. What one cannot read is known to all before anyone raises, so that nobody waits
    for a worker that has given up.

    Args:
        checkpoints: The folder of step folders.
        agreement: Of all workers.
        notice: Takes what some of them passed over.

    Raises:
        CheckpointError: there are checkpoints, but none that all can read; says which worker could not read which file.
    """
    until: int | None = None
    while True:
        found, error = _newest(checkpoints, until)
        views = agreement.gather(_view(found, error))
        _raise_failed(views, checkpoints.uri)
        steps = [view["step"] for view in views]
        if len(set(steps)) == 1:
            _raise_different(views, checkpoints.uri)
            return found
        until = min(steps)
        if until == 0:
            blind, seeing = steps.index(0), steps.index(max(steps))
            raise CheckpointError(
                f"worker {blind} finds no checkpoint, and worker {seeing} finds that of step {max(steps)}",
                where=checkpoints.uri,
                remedy="Put the output on storage that all machines share.",
            )
        for rank, view in enumerate(views):
            for reason in view["skipped"]:
                notice(f"worker {rank}: {reason} All workers go on from step {until} or before.")
        # Not two in memory at once.
        found = None


def _newest(checkpoints: Storage, until: int | None) -> tuple[Loaded | None, CheckpointError | None]:
    try:
        return latest(checkpoints, until=until), None
    except CheckpointError as error:
        return None, error


def _view(found: Loaded | None, error: CheckpointError | None) -> dict[str, Any]:
    """What a worker tells the others: step (0 without a checkpoint), digest of the manifest, and what it passed over."""
    return {
        "step": found.step if found else 0,
        "digest": hashlib.sha256(found.manifest.encode()).hexdigest() if found else "",
        "skipped": [skipped.reason for skipped in found.skipped] if found else [],
        "error": None if error is None else [error.what, error.where, error.remedy],
    }


def _raise_failed(views: Sequence[Mapping[str, Any]], uri: str) -> None:
    for rank, view in enumerate(views):
        if view["error"] is not None:
            what, where, remedy = view["error"]
            raise CheckpointError(f"worker {rank}: {what}", where=where or uri, remedy=remedy)


def _raise_different(views: Sequence[Mapping[str, Any]], uri: str) -> None:
    for rank, view in enumerate(views):
        if view["digest"] != views[0]["digest"]:
            raise CheckpointError(
                f"workers 0 and {rank} read different checkpoints of step {view['step']}",
                where=uri,
                remedy="Put the output on storage that all machines share.",
            )
