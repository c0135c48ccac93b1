"""Ray Train's trainer for a run of ours: it can be ended from outside, tells of lost workers, and needs no PyTorch, which
Ray's TorchTrainer does; imports Ray, so it comes late.
"""

from __future__ import annotations

import asyncio
from typing import Any

from ray.train.v2._internal.execution.callback import WorkerGroupCallback
from ray.train.v2._internal.execution.worker_group import WorkerGroupPollStatus
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

from raygen.training.engine.store import Store
from raygen.training.ray.controller import UNUSED, Controller, Fixed, Place
from raygen.training.ray.losses import report_lost_workers


class LostWorkersReporter(WorkerGroupCallback):
    """Tells the driver of lost workers; runs in Ray Train's controller, which is in the driver's process.

    Ray's `UserCallback` does the same, but is sent to each worker with the rest of the run's settings.

    Args:
        store: The driver's.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def after_worker_group_poll_status(self, worker_group_status: WorkerGroupPollStatus) -> None:
        """Called when the controller has looked at the workers: once for each time that some are lost."""
        if worker_group_status.errors:
            report_lost_workers(self._store, worker_group_status.errors)


class Trainer(DataParallelTrainer):
    """A trainer whose `fit` ends when `kill` is called.

    Ray offers an end by SIGINT in the main thread alone, and a process that leaves Ray while `fit` still waits in a
    thread is ended by Ray with exit code 1, in the middle of what it was about to say.

    Args:
        arguments: Of Ray's own trainer.
        store: The driver's, which hears of lost workers.
        options: As arguments.
    """

    def __init__(self, *arguments: Any, store: Store, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._place = Place()
        self._store = store

    def kill(self) -> None:
        """Ends the workers and the controller; `fit` raises then."""
        self._place.clear()

    def _create_default_callbacks(self) -> list[Any]:
        callbacks = super()._create_default_callbacks()
        used = [callback for callback in callbacks if not isinstance(callback, UNUSED)]
        return [*used, LostWorkersReporter(self._store)]

    def _initialize_and_run_controller(self, **options: Any) -> Any:
        policy = Fixed(self.scaling_config)  # type: ignore[arg-type]
        controller = Controller(self._place, **options | {"scaling_policy": policy})
        asyncio.run(controller.run())  # type: ignore[no-untyped-call]
        return controller.get_result()
