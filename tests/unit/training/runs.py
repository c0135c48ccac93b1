"""Runs small jobs and watches them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import raygen
from raygen.models.protocol import Sample
from raygen.run.directory import RunDirectory
from raygen.storage import open_storage
from raygen.training.observers.events import Observer, Progress, Started
from tests.jobs import job_document


class Watcher(Observer):
    """Keeps events, and calls `at` when a step was read."""

    def __init__(self, at: Any = None) -> None:
        self.notices: list[str] = []
        self.plans: list[Started] = []
        self.evaluations: dict[int, dict[str, float]] = {}
        self.samples: dict[int, Sequence[Sample]] = {}
        self.progress: list[Progress] = []
        self.checkpoints: list[int] = []
        self.guards: list[str] = []
        self._at = at

    def notice(self, message: str) -> None:
        self.notices.append(message)

    def started(self, start: Started) -> None:
        self.plans.append(start)

    def progressed(self, progress: Progress) -> None:
        self.progress.append(progress)

    def evaluated(self, step: int, values: Mapping[str, float]) -> None:
        self.evaluations[step] = dict(values)

    def sampled(self, step: int, samples: Sequence[Sample]) -> None:
        self.samples[step] = samples

    def guard_triggered(self, guard: str) -> None:
        self.guards.append(guard)

    def checkpoint_started(self, step: int) -> None:
        self.checkpoints.append(step)
        if self._at is not None:
            self._at(step)


class Killed(BaseException):
    """Ends a run as abruptly as a test in one process can."""


def train(base: Path, document: dict[str, Any] | None = None, **options: Any) -> raygen.Result:
    return raygen.train(
        document or job_document(), base=base, output=str(base / "runs"), device="cpu", **options
    )


def losses(base: Path, run: str = "tiny") -> dict[int, float]:
    lines = RunDirectory(open_storage(str(base / "runs")), run).read_metrics().lines
    return {line.step: line.values["loss"] for line in lines if line.kind == "train"}


def killed_at(step: int) -> Watcher:
    def kill(saved: int) -> None:
        if saved == step:
            raise Killed

    return Watcher(kill)
