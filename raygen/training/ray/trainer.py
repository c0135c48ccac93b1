"""Ray Train's TorchTrainer that can be ended from outside, and tells of lost workers; imports Ray, so it comes late."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ray.train import UserCallback
from ray.train.torch import TorchTrainer
from torch.distributed import DistError

from raygen.training.engine.agreement import connect
from raygen.training.ray.controller import UNUSED, Controller, Fixed, Place
from raygen.training.ray.losses import report_loss

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


class Trainer(TorchTrainer):
    """A TorchTrainer whose `fit` ends when `kill` is called.

    Ray offers an end by SIGINT in the main thread alone, and a process that leaves Ray while `fit` still waits in a
    thread is ended by Ray with exit code 1, in the middle of what it was about to say.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._place = Place()

    def kill(self) -> None:
        """Ends the workers and the controller; `fit` raises then."""
        self._place.clear()

    def _create_default_callbacks(self) -> list[Any]:
        callbacks = super()._create_default_callbacks()  # type: ignore[misc]
        return [callback for callback in callbacks if not isinstance(callback, UNUSED)]

    def _initialize_and_run_controller(self, **options: Any) -> Any:
        policy = Fixed(self.scaling_config)  # type: ignore[arg-type]
        controller = Controller(self._place, **options | {"scaling_policy": policy})
        asyncio.run(controller.run())  # type: ignore[no-untyped-call]
        return controller.get_result()
