"""Tells the cluster how far the driver is and how it ended: `preparation`, `progress` and `outcome` of its job's status.

Plain HTTPS with a token that is in the head pod alone, as server-side apply of these fields. A thread does it, so
training never waits; where it cannot be done training goes on, and a line says so once.
"""

from __future__ import annotations

import http.client
import json
import math
import os
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from raygen.errors import RaygenError, RunError, reason_of
from raygen.models.sample import Sample
from raygen.spec.job.training_job import KIND
from raygen.spec.names import API_VERSION, DRIVER_MANAGER, STATUS_VARIABLE, TOKEN_FOLDER
from raygen.storage import step_folder
from raygen.training.drain import REASON as POD_LEAVING
from raygen.training.observers.events import Observer, Preparing, Progress, Started, WorkersLost
from raygen.training.result import Result

Object = dict[str, Any]
Send = Callable[[Object], None]

WORKERS_LOST = "WorkersLost"
"""Why workers are started again, where no pod was drained."""
EVERY_SECONDS = 10.0
"""At most so often."""
REFUSED_SECONDS = 60.0
"""How long it may be refused before that is told: the operator has to record the head pod first."""
LAST_SECONDS = 20.0
"""How long it tries to write the outcome."""
PAUSE_SECONDS = 1.0
"""Between tries while it is refused and that is not told yet; later tries are as rare as other writes."""
LONGEST_SECONDS = 60.0
"""How long a server may ask to be left alone."""
TIMEOUT_SECONDS = 5.0


class BusyError(OSError):
    """The server asks to be left alone for some seconds."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = min(seconds, LONGEST_SECONDS)


class StatusReporter(Observer):
    """An observer that writes the status of a TrainingJob.

    Args:
        ray_job: Name of the RayJob that this driver belongs to.
        send: Writes a status; raises OSError if that is not possible.
        tell: Takes a line for people.
    """

    def __init__(self, ray_job: str, send: Send, tell: Callable[[str], None]) -> None:
        self._ray_job, self._send, self._tell = ray_job, send, tell
        self._preparation: Object = {}
        self._progress: Object = {}
        self._outcome: Object | None = None
        self._metrics: dict[str, Object] = {}
        self._run = ""
        self._changed, self._lock = threading.Event(), threading.Lock()
        self._ended = False
        self._refused: float | None = None
        self._told = False
        self._pause = EVERY_SECONDS
        self._thread = threading.Thread(target=self._write_on, name="status", daemon=True)
        self._thread.start()

    def preparing(self, preparing: Preparing) -> None:
        """Takes how far the data is prepared."""
        doing, done, parts = preparing.doing[:64], preparing.done, preparing.parts
        said = f"{doing}, {done} of {parts}" if parts else doing
        with self._lock:
            self._preparation = {"doing": doing, "done": done, "parts": parts, "said": said}
        self._changed.set()

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
        found = {name: _short(value) for name, value in numbers.items() if math.isfinite(value)}
        place = {
            "step": progress.step,
            "steps": progress.steps,
            "remainingSeconds": left,
            "eta": _words(left),
        }
        saved = {} if progress.checkpoint is None else {"checkpoint": progress.checkpoint}
        self._update({**place, **found, **saved})

    def evaluated(self, step: int, values: Mapping[str, float]) -> None:
        """Takes the newest metrics."""
        for name, value in values.items():
            if math.isfinite(value):
                self._metrics[name] = {"name": name, "value": _short(value), "step": step}
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
            "time": _now(),
        }
        self._update({"recovery": recovery}, without=("throughput", "remainingSeconds", "eta"))

    def ended(self, result: Result) -> None:
        """Writes the outcome of a driver that ended well; blocks until it is written, or for `LAST_SECONDS`."""
        metrics = ", ".join(f"{name} {value:.4f}" for name, value in result.metrics.items())
        said = f"{result.state} at step {result.step} of {result.steps}" + (f": {metrics}" if metrics else "")
        if "step" in self._progress and result.step:
            # A run that ends well, or stops, leaves a checkpoint of its last step.
            self._update({"step": result.step, "checkpoint": result.step})
        self._last(
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
        self._last({**words, "prepared": found})

    def stopped(self, reason: str) -> None:
        """Writes the outcome of such a driver that was asked to stop; blocks as `ended` does."""
        message = "It was asked to stop while it prepared data."
        self._last({"state": "Stopped", "reason": reason, "message": message, "exitCode": 3})

    def failed(self, error: BaseException) -> None:
        """Writes the outcome of a driver that failed; blocks as `ended` does."""
        known = error if isinstance(error, RaygenError) else RunError(str(error))
        reason = reason_of(error)
        what = known.located
        outcome: Object = {
            "state": "Failed",
            "reason": reason,
            "message": what[:4000] or reason,
            "exitCode": known.exit_code,
        }
        if known.remedy:
            outcome["remedy"] = known.remedy[:4000]
        if self._run:
            outcome["run"] = self._run
        if "step" in self._progress:
            outcome["step"] = self._progress["step"]
        self._last(outcome)

    def _update(self, changes: Object, *, without: Sequence[str] = ()) -> None:
        with self._lock:
            kept = {name: value for name, value in self._progress.items() if name not in without}
            self._progress = kept | changes
        self._changed.set()

    def _last(self, outcome: Object) -> None:
        with self._lock:
            self._ended = True
            self._outcome = {"time": _now(), "rayJob": self._ray_job, **outcome}
        self._changed.set()
        self._thread.join()
        deadline = time.monotonic() + LAST_SECONDS
        while not self._write() and time.monotonic() < deadline:
            time.sleep(max(0.0, min(self._pause, deadline - time.monotonic())))

    def _write_on(self) -> None:
        while True:
            self._changed.wait()
            with self._lock:
                if self._ended:
                    return
                self._changed.clear()
            if not self._write():
                # Refused until the operator has recorded this pod; soon after that it is told.
                self._changed.set()
            end = time.monotonic() + self._pause
            while not self._ended and time.monotonic() < end:
                time.sleep(0.1)

    def _write(self) -> bool:
        with self._lock:
            status: Object = {}
            # Of data that is there nobody needs to know how far it is.
            if self._preparation and "step" not in self._progress:
                status["preparation"] = {"time": _now(), "rayJob": self._ray_job, **self._preparation}
            if "step" in self._progress:
                status["progress"] = {"time": _now(), "rayJob": self._ray_job, **self._progress}
            if self._outcome is not None:
                status["outcome"] = self._outcome
        try:
            self._send(status)
        except OSError as error:
            now = time.monotonic()
            self._refused = self._refused if self._refused is not None else now
            if not self._told and (now - self._refused > REFUSED_SECONDS or self._ended):
                self._told = True
                self._tell(f"the status of the job cannot be written: {error}; training goes on")
            pause = EVERY_SECONDS if self._told and not self._ended else PAUSE_SECONDS
            self._pause = max(pause, error.seconds) if isinstance(error, BusyError) else pause
            return False
        self._refused, self._pause = None, EVERY_SECONDS
        return True


def reporter(tell: Callable[[str], None]) -> StatusReporter | None:
    """The reporter that the pod's environment asks for, if it does."""
    text = os.environ.get(STATUS_VARIABLE)
    if text is None:
        return None
    target = json.loads(text)
    return StatusReporter(target["rayJob"], lambda status: send(target, status), tell)


def send(target: Mapping[str, str], status: Object) -> None:
    """Writes the driver's part of a status.

    Args:
        target: name, namespace and uid of the job.
        status: All that the driver says.

    Raises:
        OSError: The server is not there, or refuses.
    """
    folder = Path(TOKEN_FOLDER)
    address = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not address[0]:
        raise OSError("this is not a pod")
    path = (
        f"/apis/{API_VERSION}/namespaces/{target['namespace']}/trainingjobs/{target['name']}/status?"
        + urlencode({"fieldManager": DRIVER_MANAGER, "force": "true"})
    )
    metadata = {key: target[key] for key in ("name", "namespace", "uid")}
    body = {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "status": status}
    headers = {
        # Read again: it is replaced before it runs out.
        "Authorization": f"Bearer {(folder / 'token').read_text(encoding='utf-8').strip()}",
        "Content-Type": "application/apply-patch+yaml",
        "Accept": "application/json",
    }
    trust = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    connection = http.client.HTTPSConnection(
        address[0], int(address[1]), timeout=TIMEOUT_SECONDS, context=trust
    )
    try:
        connection.request("PATCH", path, json.dumps(body), headers)
        answer = connection.getresponse()
        said = answer.read()
        if answer.status >= 300:
            words = f"the API server answers {answer.status}: {_message(said)}"
            after = answer.headers.get("Retry-After") or ""
            if answer.status in (429, 503) and after.isdigit():
                raise BusyError(words, float(after))
            raise OSError(words)
    except http.client.HTTPException as error:
        raise OSError(str(error) or type(error).__name__) from error
    finally:
        connection.close()


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])[:500]
    except (ValueError, KeyError, TypeError):
        return ""


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _short(value: float) -> float:
    """Six digits that count: for people to read, and enough to compare."""
    return float(f"{value:.6g}")


def _words(seconds: int) -> str:
    """1h12m."""
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{seconds % 60:02}s" if minutes else f"{seconds}s"
