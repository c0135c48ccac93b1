"""Ray Train's TorchTrainer that can be ended from outside, and tells of lost workers; imports Ray, so it comes late."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import ray
from ray._common.constants import RAY_WARN_BLOCKING_GET_INSIDE_ASYNC_ENV_VAR
from ray._raylet import RAY_NODE_ID_KEY  # type: ignore[attr-defined]
from ray.train import UserCallback
from ray.train.torch import TorchTrainer
from ray.train.v2._internal.callbacks import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.constants import (
    DEFAULT_RAY_WARN_BLOCKING_GET_INSIDE_ASYNC_VALUE,
    get_env_vars_to_propagate,
)
from ray.train.v2._internal.execution.controller import TrainController
from ray.train.v2._internal.execution.scaling_policy import FixedScalingPolicy
from torch.distributed import DistError

from raygen.train.group import connect
from raygen.train.losses import report_loss

REPORT_S = 30.0
"""How long the driver may take to hear of a loss."""


class LossReporter(UserCallback):
    """Tells the driver of lost workers; runs in Ray Train's controller.

    Args:
        host: Of the driver's store.
        port: The same.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port

    def after_exception(self, run_context: Any, worker_exceptions: Mapping[int, BaseException]) -> None:
        """Called once for each time that workers are lost."""
        del run_context
        # A driver that is gone takes this controller with it.
        with suppress(DistError):
            report_loss(connect(self._host, self._port, timeout_s=REPORT_S), worker_exceptions)


UNUSED = (DatasetsCallback, PlacementGroupCleanerCallback)
"""Parts of Ray Train that start a process each, for what raygen has no use for: shards of Ray Data, and to free the workers'
place if the controller dies while its driver lives on, which here is never for long."""


class Fixed(FixedScalingPolicy):
    """The workers that were asked for, without the process that tells Ray's autoscaler and Ray Data of them.

    The autoscaler knows of them by the placement group that they wait for.
    """

    def after_controller_start(self, train_run_context: Any) -> None:
        """Does not start that process."""

    def _maybe_send_resource_request(self) -> None:
        """There is nobody to send it to."""


class Trainer(TorchTrainer):
    """A TorchTrainer whose `fit` ends when `kill` is called.

    Ray offers an end by SIGINT in the main thread alone, and a process that leaves Ray while `fit` still waits in a
    thread is ended by Ray with exit code 1, in the middle of what it was about to say.
    """

    _controller: Any = None
    _killed = False

    def kill(self) -> None:
        """Ends the controller, and with it the workers, which it owns; `fit` raises then."""
        self._killed = True
        if self._controller is not None:
            ray.kill(self._controller)

    def _create_default_callbacks(self) -> list[Any]:
        return [each for each in super()._create_default_callbacks() if not isinstance(each, UNUSED)]

    def _initialize_and_run_controller(self, **options: Any) -> Any:
        """As Ray's own, which keeps the controller to itself."""
        options["scaling_policy"] = Fixed(self.scaling_config)
        variables = get_env_vars_to_propagate()
        variables.setdefault(
            RAY_WARN_BLOCKING_GET_INSIDE_ASYNC_ENV_VAR, DEFAULT_RAY_WARN_BLOCKING_GET_INSIDE_ASYNC_VALUE
        )
        here = {RAY_NODE_ID_KEY: ray.get_runtime_context().get_node_id()}
        remote = ray.remote(num_cpus=0, label_selector=here, runtime_env={"env_vars": variables})
        self._controller = remote(TrainController).remote(**options)
        if self._killed:
            ray.kill(self._controller)
        ray.get(self._controller.run.remote())
        return ray.get(self._controller.get_result.remote())
