"""Ray Train's TorchTrainer that can be ended from outside; imports Ray, so it is imported late."""

from __future__ import annotations

from typing import Any

import ray
from ray._common.constants import RAY_WARN_BLOCKING_GET_INSIDE_ASYNC_ENV_VAR
from ray._raylet import RAY_NODE_ID_KEY  # type: ignore[attr-defined]
from ray.train.torch import TorchTrainer
from ray.train.v2._internal.constants import (
    DEFAULT_RAY_WARN_BLOCKING_GET_INSIDE_ASYNC_VALUE,
    get_env_vars_to_propagate,
)
from ray.train.v2._internal.execution.controller import TrainController


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

    def _initialize_and_run_controller(self, **options: Any) -> Any:
        """As Ray's own, which keeps the controller to itself."""
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
