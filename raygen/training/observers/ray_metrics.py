"""Gives a run's numbers to Ray, whose agents hand them to Prometheus with Ray's own.

The driver gives them: it outlives workers that are lost, and every event comes to it anyway. Prometheus has the names
with `ray_` before them. Ray sends them off every ten seconds from a thread of its own (RAY_metrics_report_interval_ms).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from raygen.training.observers.events import Observer, Progress, Started, WorkersLost

TAGS = ("training_job", "run")
"""Not `job`, which Prometheus itself gives to whatever it scrapes."""
GAUGES = {
    "raygen_train_step": "Steps done.",
    "raygen_train_last_step": "Steps asked for.",
    "raygen_train_loss": "Training loss of the newest step that was read.",
    "raygen_train_units_per_second": "Throughput over the newest steps: tokens for text, else images.",
    "raygen_train_goodput_ratio": "Share of the attempt's time, start-up and recovery included, that was spent in training steps.",
}
COUNTERS = {
    "raygen_train_step_seconds": "Time in training steps.",
    "raygen_train_data_wait_seconds": "Of that the time that the first worker waited for data.",
    "raygen_train_checkpoint_seconds": "Time that training stood still for checkpoints.",
    "raygen_train_checkpoints": "Checkpoints that were begun.",
    "raygen_train_guard_events": "Findings of guards.",
}


class RayFigures(Observer):
    """An observer whose numbers Ray exports. Where Ray does not take them, training goes on, and a line says so once.

    Args:
        job: The job's name.
        run: The run's name.
        notice: Takes that line.
        ray: The module ray.util.metrics. Default: Ray's; Ray must have been started.
    """

    def __init__(self, job: str, run: str, notice: Callable[[str], None], ray: Any = None) -> None:
        self._notice = notice
        self._totals: dict[str, float] = {}
        self._calls: dict[str, Callable[[float], None]] = {}
        self._works = True
        tags = dict(zip(TAGS, (job, run), strict=True))
        self._try(lambda: self._make(ray or import_module("ray.util.metrics"), tags))

    def started(self, start: Started) -> None:
        """Counts from 0 again, as the worker does."""
        self._totals = {}
        self._set({"raygen_train_step": start.first_step - 1, "raygen_train_last_step": start.steps})

    def progressed(self, progress: Progress) -> None:
        """Takes the newest numbers."""
        self._set(
            {
                "raygen_train_step": progress.step,
                "raygen_train_last_step": progress.steps,
                "raygen_train_loss": progress.loss,
                "raygen_train_units_per_second": progress.throughput,
                "raygen_train_goodput_ratio": math.nan if progress.goodput is None else progress.goodput,
            }
        )
        totals = {
            "raygen_train_step_seconds": progress.trained,
            "raygen_train_data_wait_seconds": progress.waited,
            "raygen_train_checkpoint_seconds": progress.saving,
        }
        for name, total in totals.items():
            self._add(name, total - self._totals.get(name, 0.0))
        self._totals = totals

    def checkpoint_started(self, step: int) -> None:
        """Counts a checkpoint."""
        del step
        self._add("raygen_train_checkpoints", 1)

    def workers_lost(self, lost: WorkersLost) -> None:
        """Nothing is trained until workers begin again."""
        del lost
        self._set({"raygen_train_units_per_second": 0.0})

    def guard_triggered(self, guard: str) -> None:
        """Counts a finding of a guard."""
        del guard
        self._add("raygen_train_guard_events", 1)

    def _make(self, ray: Any, tags: dict[str, str]) -> None:
        for name, text in GAUGES.items():
            self._calls[name] = ray.Gauge(name, text, TAGS).set_default_tags(tags).set
        for name, text in COUNTERS.items():
            self._calls[name] = ray.Counter(name, text, TAGS).set_default_tags(tags).inc

    def _set(self, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            if math.isfinite(value):
                self._give(name, value)

    def _add(self, name: str, value: float) -> None:
        if value > 0:
            self._give(name, value)

    def _give(self, name: str, value: float) -> None:
        self._try(lambda: self._calls[name](value))

    def _try(self, call: Callable[[], object]) -> None:
        if not self._works:
            return
        try:
            call()
        except Exception as error:  # noqa: BLE001 (nothing that is wrong with it may end a run)
            self._works = False
            said = str(error).strip().partition("\n")[0] or type(error).__name__
            self._notice(f"Ray's metrics do not get the run's numbers; training goes on: {said}")
