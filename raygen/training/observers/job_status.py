"""Tells the cluster how far a job's driver is and how it ended: `preparation`, `progress` and `outcome` of its job's status."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence

from raygen.models.sample import Sample
from raygen.storage import step_folder
from raygen.training.drain import REASON as POD_LEAVING
from raygen.training.observers.events import Observer, Preparing, Progress, Started, WorkersLost
from raygen.training.observers.kubernetes import Object, StatusWriter, failure, now, short, words, writer
from raygen.training.result import Result

WORKERS_LOST = "WorkersLost"
"""Why workers are started again, where no pod was drained."""


class StatusReporter(Observer):
    """An observer that writes the status of a TrainingJob.

    Args:
        writer: Writes it.
    """

    def __init__(self, writer: StatusWriter) -> None:
        self._writer = writer
        self._progress: Object = {}
        self._metrics: dict[str, Object] = {}
        self._run = ""
        self._lock = threading.Lock()

    def preparing(self, preparing: Preparing) -> None:
        """Takes how far the data is prepared."""
        doing, done, parts = preparing.doing[:64], preparing.done, preparing.parts
        said = f"{doing}, {done} of {parts}" if parts else doing
        if "step" not in self._progress:
            self._writer.put("preparation", {"doing": doing, "done": done, "parts": parts, "said": said})

    def started(self, start: Started) -> None:
        """Takes the attempt and its steps."""
        self._run = start.run
        first = {"attempt": start.attempt, "firstStep": start.first_step, "steps": start.steps}
        self._update({**first, "step": start.first_step - 1}, without=("recovery",))

    def progressed(self, progress: Progress) -> None:
        """Takes the newest numbers."""
        left = max(0, int(progress.seconds_left))
        numbers = {
            "loss": progress.loss,
            "throughput": progress.throughput,
            "goodput": math.nan if progress.goodput is None else progress.goodput,
        }
        found = {name: short(value) for name, value in numbers.items() if math.isfinite(value)}
        place = {
            "step": progress.step,
            "steps": progress.steps,
            "remainingSeconds": left,
            "eta": words(left),
        }
        saved = {} if progress.checkpoint is None else {"checkpoint": progress.checkpoint}
        self._update({**place, **found, **saved})

    def evaluated(self, step: int, values: Mapping[str, float]) -> None:
        """Takes the newest metrics."""
        for name, value in values.items():
            if math.isfinite(value):
                self._metrics[name] = {"name": name, "value": short(value), "step": step}
        self._update({"metrics": [self._metrics[name] for name in sorted(self._metrics)]})

    def sampled(self, step: int, samples: Sequence[Sample]) -> None:
        """Takes the place of the samples."""
        del samples
        self._update({"samples": f"{self._run}/samples/{step_folder(step)}"})

    def workers_lost(self, lost: WorkersLost) -> None:
        """Takes why steps stand still; what was told of their speed is no longer so."""
        recovery = {
            "reason": POD_LEAVING if lost.drained else WORKERS_LOST,
            "message": f"{lost.cause}."[:1024],
            "time": now(),
        }
        self._update({"recovery": recovery}, without=("throughput", "remainingSeconds", "eta"))

    def ended(self, result: Result) -> None:
        """Writes the outcome of a driver that ended well; blocks until it is written, or for `LAST_SECONDS`."""
        metrics = ", ".join(f"{name} {value:.4f}" for name, value in result.metrics.items())
        said = f"{result.state} at step {result.step} of {result.steps}" + (f": {metrics}" if metrics else "")
        if "step" in self._progress and result.step:
            # A run that ends well, or stops, leaves a checkpoint of its last step.
            self._update({"step": result.step, "checkpoint": result.step})
        self._writer.last(
            {
                "state": result.state,
                "reason": result.reason,
                "message": f"{said}.",
                "exitCode": result.exit_code,
                "step": result.step,
                "run": result.run,
            }
        )

    def prepared(self, uri: str, fingerprint: str, message: str) -> None:
        """Writes the outcome of a driver that had only data to prepare; blocks as `ended` does.

        Args:
            uri: The data set's folder, as the job has it.
            fingerprint: Of what is in it.
            message: What there is, as a sentence.
        """
        found = {"uri": uri, "fingerprint": fingerprint}
        words = {"state": "Succeeded", "reason": "Prepared", "message": message, "exitCode": 0}
        self._writer.last({**words, "prepared": found})

    def stopped(self, reason: str) -> None:
        """Writes the outcome of such a driver that was asked to stop; blocks as `ended` does."""
        message = "It was asked to stop while it prepared data."
        self._writer.last({"state": "Stopped", "reason": reason, "message": message, "exitCode": 3})

    def failed(self, error: BaseException) -> None:
        """Writes the outcome of a driver that failed; blocks as `ended` does."""
        outcome = failure(error)
        if self._run:
            outcome["run"] = self._run
        if "step" in self._progress:
            outcome["step"] = self._progress["step"]
        self._writer.last(outcome)

    def _update(self, changes: Object, *, without: Sequence[str] = ()) -> None:
        with self._lock:
            kept = {name: value for name, value in self._progress.items() if name not in without}
            self._progress = kept | changes
            if "step" in self._progress:
                # Of data that is there nobody needs to know how far it is.
                self._writer.put("preparation", {})
                self._writer.put("progress", self._progress)


def reporter(tell: Callable[[str], None]) -> StatusReporter | None:
    """The reporter that the pod's environment asks for, if it does."""
    found = writer(tell)
    return None if found is None else StatusReporter(found)
