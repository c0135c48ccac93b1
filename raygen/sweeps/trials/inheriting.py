"""Has a trial begin from a checkpoint of another one's run, where the jobs of both agree up to there.

It saves work and changes no bit: a run is a function of its job file, so the trial would come to the same checkpoint by itself, and does
so where no run that it descends from has kept one.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from raygen.checkpoint import copy, steps
from raygen.errors import CheckpointError, InputError
from raygen.run.directory import RunDirectory
from raygen.spec import parse, resolve
from raygen.storage import AlreadyExistsError, Storage, open_storage, step_folder
from raygen.sweeps.trials.protocol import Ancestor, TrialTask
from raygen.training.engine.control import Control
from raygen.training.prepare import placed

WAIT_S = 20.0
"""How long a trial waits for the checkpoint of a parent that trains on: it reports a step before it has written it."""
POLL_S = 0.2


def inherit(task: TrialTask, control: Control, wait_s: float = WAIT_S) -> int | None:
    """Gives a trial that has not begun the newest checkpoint that one of its ancestors has of steps that their jobs have in common.

    job.json comes last, so that who is killed meanwhile begins again.

    Args:
        task: The trial.
        control: Ends the waiting.
        wait_s: How long to wait for the newest one, in seconds.

    Returns:
        The step of the checkpoint; None if there was none, or if the trial has begun already.
    """
    storage = open_storage(task.runs)
    own = RunDirectory(storage, task.run)
    if not task.ancestors or own.read_job() is not None:
        return None
    nearest = task.ancestors[0]
    _wait(storage, nearest, lambda: control.requested, wait_s)
    for ancestor in task.ancestors:
        run = RunDirectory(storage, ancestor.run)
        known = run.read_job()
        if known is None:
            continue
        for step in sorted(_common(run, ancestor), reverse=True):
            try:
                copy(run.checkpoints, step, own.checkpoints)
            except (CheckpointError, InputError):
                # It was deleted meanwhile, or is damaged: the one before it does as well.
                own.checkpoints.delete_prefix(f"{step_folder(step)}/")
                continue
            own.write_data_files(run.read_data_files())
            job = resolve(placed(parse(dict(task.job)), task.runs, task.run))
            document = known | {"job": job.model_dump(mode="json"), "uri": own.uri}
            try:
                own.create_job(document)
            except AlreadyExistsError:
                return None
            return step
    return None


def _common(run: RunDirectory, ancestor: Ancestor) -> list[int]:
    """Steps of checkpoints that are a trial's too."""
    return [step for step in steps(run.checkpoints) if ancestor.after < step <= ancestor.until]


def _wait(storage: Storage, parent: Ancestor, stopped: Callable[[], bool], wait_s: float) -> None:
    """Waits until a parent has written the checkpoint that its report was followed by, or a later one."""
    run, deadline = RunDirectory(storage, parent.run), time.monotonic() + wait_s
    while max(steps(run.checkpoints), default=0) < parent.until and not stopped():
        if time.monotonic() >= deadline:
            return
        time.sleep(POLL_S)
