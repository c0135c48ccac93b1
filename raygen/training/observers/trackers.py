"""Services that show a run's numbers while they come in: TensorBoard's files, Weights & Biases, MLflow.

Addresses and credentials come from each service's own environment variables. Every service works on a
thread of its own, so that neither its failures nor its pauses reach the training loop.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from html import escape
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from queue import Full, Queue
from threading import Thread
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from raygen.errors import InputError, MissingExtraError
from raygen.storage import step_folder
from raygen.training.observers.tensorboard import Status, StoredTensorBoardTracker, TensorBoardTracker

if TYPE_CHECKING:
    from raygen.run.directory import RunDirectory
    from raygen.spec import TrainingJob

logger = logging.getLogger(__name__)

RUN_TAG = "raygen.run"
"""Tag of an MLflow run by which later attempts find it."""
MAX_WAITING = 1000
"""Calls that may wait for a service; when more come, they are left out."""
PATIENCE_SECONDS: dict[Status, float] = {"Succeeded": 30.0, "Stopped": 4.0, "Failed": 4.0}
"""How long closing waits for a service. A run that is asked to stop has ten seconds in all."""

_MLFLOW_STATUS: dict[Status, str] = {"Succeeded": "FINISHED", "Stopped": "KILLED", "Failed": "FAILED"}
_T = TypeVar("_T")


class Tracker(Protocol):
    """Takes numbers, texts and pictures of a run."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Takes numbers that were measured after `step` steps."""

    def text(self, step: int, name: str, text: str) -> None:
        """Takes a generated text."""

    def image(self, step: int, name: str, png: bytes) -> None:
        """Takes a generated picture as a PNG file."""

    def close(self, status: Status = "Failed") -> None:
        """Sends what is left and says how the attempt ended; a second call does nothing."""


class WandbTracker:
    """A Weights & Biases run; the same identity continues the same run there.

    Args:
        project: The project there.
        identity: The run's identity, which becomes the id there.
        name: The run's name, for people.
        config: The resolved job.
        folder: Where the client keeps its files until they are sent.

    Raises:
        MissingExtraError: the package is not installed.
        InputError: it is to send, but has no credentials.
    """

    def __init__(
        self, project: str, identity: str, name: str, config: Mapping[str, Any], folder: Path
    ) -> None:
        self._wandb = _import("wandb")
        # Without credentials init would ask on the terminal, and training would wait for an answer.
        if self._wandb.setup().settings.mode == "online" and not self._wandb.login(prompt=False):
            raise InputError("there are no credentials", remedy="Set WANDB_API_KEY, or WANDB_MODE=offline.")
        folder.mkdir(parents=True, exist_ok=True)
        self._run = self._wandb.init(
            project=project,
            id=identity,
            name=name,
            config=dict(config),
            # Duration, evaluation and scale of a job may change between attempts.
            allow_val_change=True,
            resume="allow",
            reinit="create_new",
            dir=str(folder),
            settings=self._wandb.Settings(silent=True, console="off"),
        )
        # W&B's own step only grows, but an attempt that resumes goes back to its checkpoint.
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Logs the values over the step."""
        self._run.log({"step": step, **values})

    def text(self, step: int, name: str, text: str) -> None:
        """Logs the text as preformatted HTML, escaped."""
        self._run.log({"step": step, name: self._wandb.Html(f"<pre>{escape(text)}</pre>", inject=False)})

    def image(self, step: int, name: str, png: bytes) -> None:
        """Logs the picture."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "image.png")
            path.write_bytes(png)
            self._run.log({"step": step, name: self._wandb.Image(str(path))})

    def close(self, status: Status = "Failed") -> None:
        """Sends what is left; a stopped run is marked as preempted, since it can go on."""
        if status == "Stopped":
            self._run.mark_preempting()
        self._run.finish(exit_code=0 if status == "Succeeded" else 1)


class MLflowTracker:
    """An MLflow run; the same identity, which a tag holds, continues the same run there.

    Numbers that an attempt measured after its last checkpoint stay there, beside those of the attempt that
    resumed: MLflow cannot take numbers back.

    Args:
        experiment: The experiment there, made if it is missing.
        identity: The run's identity.
        name: The run's name, for people.
        config: The resolved job.

    Raises:
        MissingExtraError: the package is not installed.
    """

    def __init__(self, experiment: str, identity: str, name: str, config: Mapping[str, Any]) -> None:
        mlflow = _import("mlflow")
        self._metric = mlflow.entities.Metric
        self._client = mlflow.MlflowClient()
        found = self._client.get_experiment_by_name(experiment)
        where = found.experiment_id if found else self._client.create_experiment(experiment)
        runs = self._client.search_runs([where], f"tags.`{RUN_TAG}` = '{identity}'", max_results=1)
        if runs:
            self._id: str = runs[0].info.run_id
            self._client.update_run(self._id, status="RUNNING")
            return
        created = self._client.create_run(where, run_name=name, tags={RUN_TAG: identity})
        self._id = created.info.run_id
        params = [mlflow.entities.Param(key, value[:500]) for key, value in _flat(config).items()]
        for first in range(0, len(params), 100):
            self._client.log_batch(self._id, params=params[first : first + 100])

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Logs the values at the step, in one request."""
        now = int(time.time() * 1000)
        self._client.log_batch(
            self._id, [self._metric(key, value, now, step) for key, value in values.items()]
        )

    def text(self, step: int, name: str, text: str) -> None:
        """Keeps the text as an artifact."""
        self._client.log_text(self._id, text, f"{name}/{step_folder(step)}.txt")

    def image(self, step: int, name: str, png: bytes) -> None:
        """Keeps the picture as an artifact."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"{step_folder(step)}.png")
            path.write_bytes(png)
            self._client.log_artifact(self._id, str(path), name)

    def close(self, status: Status = "Failed") -> None:
        """Marks the run as finished, failed, or killed when it was asked to stop."""
        self._client.set_terminated(self._id, _MLFLOW_STATUS[status])


class Guarded:
    """A tracker that can fail, hang or be slow without any harm to training.

    Calls return at once; a thread makes the tracker and hands them on. Of everything that goes wrong the
    first failure is told, once. After a failure it goes on, since a network may come back; without a
    tracker, because making it failed, calls do nothing.

    Args:
        name: What the service is called in the notice.
        make: Makes the tracker.
        notice: Takes the one sentence about the first failure, on any thread. Default: the log, as a warning.
        patience: Seconds that `close` waits for the service, by status.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[], Tracker],
        notice: Callable[[str], None] = logger.warning,
        *,
        patience: Mapping[Status, float] = PATIENCE_SECONDS,
    ) -> None:
        self._name = name
        self._notice = notice
        self._patience = patience
        self._told = False
        self._closed = False
        self._waiting: Queue[Callable[[Tracker], None] | None] = Queue(MAX_WAITING)
        self._thread = Thread(target=self._work, args=(make,), name=f"tracker {name}", daemon=True)
        self._thread.start()

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Takes numbers."""
        kept = dict(values)
        self._hand_on(lambda tracker: tracker.log(step, kept))

    def text(self, step: int, name: str, text: str) -> None:
        """Takes a generated text; half characters, which no service can store, become question marks."""
        kept = text.encode("utf-8", "replace").decode()
        self._hand_on(lambda tracker: tracker.text(step, name, kept))

    def image(self, step: int, name: str, png: bytes) -> None:
        """Takes a generated picture."""
        self._hand_on(lambda tracker: tracker.image(step, name, png))

    def close(self, status: Status = "Failed") -> None:
        """Waits until the service has everything, but not for long."""
        if self._closed:
            return
        self._closed = True
        patience = self._patience[status]
        until = time.monotonic() + patience
        try:
            self._waiting.put(lambda tracker: tracker.close(status), timeout=patience)
            self._waiting.put(None, timeout=max(until - time.monotonic(), 0))
        except Full:
            pass
        self._thread.join(max(until - time.monotonic(), 0))
        if self._thread.is_alive():
            self._tell(f"it has not taken everything within {patience:g} s")

    def _hand_on(self, call: Callable[[Tracker], None]) -> None:
        if self._closed:
            return
        try:
            self._waiting.put_nowait(call)
        except Full:
            self._tell("it is too slow, and some of the numbers are left out")

    def _work(self, make: Callable[[], Tracker]) -> None:
        # Clients import much, which would take time from the first step, before which they have nothing to take.
        call = self._waiting.get()
        tracker = self._tried(make)
        while call is not None:
            if tracker is not None:
                self._tried(partial(call, tracker))
            call = self._waiting.get()

    def _tried(self, call: Callable[[], _T]) -> _T | None:
        try:
            return call()
        except Exception as error:  # noqa: BLE001 (foreign code fails in ways of its own; none may end a run)
            self._tell(str(error).strip().partition("\n")[0] or type(error).__name__)
            return None

    def _tell(self, reason: str) -> None:
        if not self._told:
            self._told = True
            self._notice(f"{self._name} does not get everything; training goes on: {reason}")


def open_trackers(
    job: TrainingJob, directory: RunDirectory, step: int, notice: Callable[[str], None]
) -> list[Tracker]:
    """The trackers of a job: TensorBoard's files, and what `tracking` asks for.

    Args:
        job: A resolved job.
        directory: The run directory, with at least one attempt in it.
        step: Steps done.
        notice: Takes sentences that a person should see, on any thread.

    Raises:
        MissingExtraError: a service's package is not installed.
    """
    config: dict[str, Any] = job.model_dump(mode="json", by_alias=True, exclude_none=True)["spec"]
    first = directory.attempts()[0]
    identity = run_identity(directory.name, first.host, first.process, first.started)
    makers: dict[str, Callable[[], Tracker]] = {}
    events = directory.storage.local_path("tensorboard")
    makers["TensorBoard"] = (
        partial(StoredTensorBoardTracker, directory.storage.within("tensorboard"), step)
        if events is None
        else partial(TensorBoardTracker, events, step)
    )
    tracking = job.spec.tracking
    if tracking is not None and tracking.wandb is not None:
        _check_extra("wandb")
        local = directory.storage.local_path("wandb")
        folder = Path(tempfile.gettempdir()) if local is None else local.parent
        makers["Weights & Biases"] = partial(
            WandbTracker, tracking.wandb.project, identity, directory.name, config, folder
        )
    if tracking is not None and tracking.mlflow is not None:
        _check_extra("mlflow")
        makers["MLflow"] = partial(
            MLflowTracker, tracking.mlflow.experiment, identity, directory.name, config
        )
    return [Guarded(name, make, notice) for name, make in makers.items()]


def run_identity(name: str, host: str, process: int, started: str) -> str:
    """What a run is known by in other services: its name, and who began its first attempt when.

    All attempts give the same, wherever the run directory lies by then; a run that is deleted and begun
    anew gives another, since services do not let an id come back.
    """
    return hashlib.sha256(f"{name}\n{host}\n{process}\n{started}".encode()).hexdigest()[:16]


def _check_extra(package: str) -> None:
    """Looks whether a package is there, without the seconds that its import takes."""
    if find_spec(package) is None:
        raise MissingExtraError(package, package)


def _import(package: str) -> ModuleType:
    _check_extra(package)
    return import_module(package)


def _flat(value: Any, path: str = "") -> dict[str, str]:
    if not isinstance(value, Mapping):
        return {path: str(value)}
    return {
        name: text
        for key, child in value.items()
        for name, text in _flat(child, f"{path}.{key}" if path else str(key)).items()
    }
