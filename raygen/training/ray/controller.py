"""Ray Train's controller in the process of the driver; imports Ray, so it is imported late.

Ray Train runs its controller in an actor, and starts more actors beside it. On a laptop each of these processes imports
Ray Train, and some PyTorch, before the first worker may begin: 8 of the 29 s that all processes together compute for until then.
The driver has imported both, and ends the workers when it ends, however it does.
"""

from __future__ import annotations

import threading
from typing import Any

import ray
from ray.exceptions import AsyncioActorExit
from ray.train.v2._internal.callbacks import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.execution.controller import TrainController
from ray.train.v2._internal.execution.scaling_policy import FixedScalingPolicy
from ray.train.v2._internal.execution.worker_group import WorkerGroup

UNUSED = (DatasetsCallback, PlacementGroupCleanerCallback)
"""Callbacks that start a process each: for shards of Ray Data, and to free the place of workers whose controller died, which
here is the driver, and Ray frees what a driver leaves."""


class Place:
    """What the workers occupy of the cluster. Once cleared, no worker starts there."""

    def __init__(self) -> None:
        self.cleared = False
        self._handle: Any = None
        self._lock = threading.Lock()

    def take(self, handle: Any) -> Any:
        """Notes what a group of workers got."""
        with self._lock:
            self._handle = handle
            if self.cleared:
                handle.shutdown()
        return handle

    def clear(self) -> None:
        """Gives it back, which ends the workers there, and whoever waits for one of them."""
        with self._lock:
            self.cleared = True
            if self._handle is not None:
                self._handle.shutdown()


class Controller(TrainController):
    """Ray Train's controller in the process of the driver.

    Args:
        place: Takes what the workers occupy.
        options: Of Ray's own controller.
    """

    def __init__(self, place: Place, **options: Any) -> None:
        self._place = place
        self.worker_group_cls: Any = type("WorkersInPlace", (Workers,), {"place": place})
        super().__init__(**options)

    async def _step(self) -> Any:
        if self._place.cleared:
            # The one exception that is not taken for a failure of workers.
            raise AsyncioActorExit("the workers were told to end")
        return await super()._step()


class Workers(WorkerGroup):
    """Workers whose controller is not an actor."""

    place: Place

    def _create_placement_group(self, *arguments: Any) -> Any:
        return self.place.take(super()._create_placement_group(*arguments))

    def _init_train_context_on_workers(self, workers: Any, sync_actor: Any, train_context_args: Any) -> None:
        """As Ray's own, which gives them the actor that it runs in; they would ask it for reported checkpoints alone."""
        ray.get(
            [
                worker.actor.init_train_context.remote(
                    train_run_context=self._train_run_context,
                    distributed_context=worker.distributed_context,
                    synchronization_actor=sync_actor,
                    storage_context=self._storage_context,
                    worker_callbacks=self._worker_callbacks_to_propagate,
                    controller_actor=None,
                    **{name: values[number] for name, values in train_context_args.items()},
                )
                for number, worker in enumerate(workers)
            ]
        )
        self._decorate_worker_log_file_paths(workers)


class Fixed(FixedScalingPolicy):
    """The workers that were asked for, without the process that tells Ray's autoscaler and Ray Data of them.

    The autoscaler knows of them by the placement group that they wait for.
    """

    def after_controller_start(self, train_run_context: Any) -> None:
        """Does not start that process."""

    def _maybe_send_resource_request(self) -> None:
        """There is nobody to send it to."""
