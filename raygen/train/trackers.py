"""Services that show a run's numbers while they come in: TensorBoard's files, Weights & Biases, MLflow.

Addresses and credentials come from each service's own environment variables. A service that fails never
stops training: its first failure is told once, and then it is left out.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from raygen.errors import MissingExtraError
from raygen.spec import TrainingJob
from raygen.train.rundir import RunDirectory


class Tracker(Protocol):
    """Takes numbers, texts and pictures of a run."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Takes numbers."""

    def text(self, step: int, name: str, text: str) -> None:
        """Takes a generated text."""

    def image(self, step: int, name: str, png: bytes) -> None:
        """Takes a generated picture."""

    def close(self) -> None:
        """Writes out what is left."""


class TensorBoardTracker:
    """Event files that TensorBoard reads.

    Args:
        folder: Where to write them.
        step: Steps done; TensorBoard hides what earlier attempts wrote after it.
    """

    def __init__(self, folder: Path, step: int) -> None:
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=step + 1 if step else None, flush_secs=10)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Writes one scalar for each value."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def text(self, step: int, name: str, text: str) -> None:
        """Writes the text as a Markdown code block, so that its lines stay."""
        self._writer.add_text(name, "    " + text.replace("\n", "\n    "), step)

    def image(self, step: int, name: str, png: bytes) -> None:
        """Writes the picture."""
        import io

        import numpy as np
        from PIL import Image

        self._writer.add_image(name, np.asarray(Image.open(io.BytesIO(png))), step, dataformats="HWC")

    def close(self) -> None:
        """Writes out what is left."""
        self._writer.close()


class WandbTracker:
    """A Weights & Biases run. The same run directory continues the same run there."""

    def __init__(self, project: str, run: str, name: str, config: dict[str, Any], folder: Path) -> None:
        wandb = _import("wandb", "wandb")
        folder.mkdir(parents=True, exist_ok=True)
        self._wandb = wandb
        self._run = wandb.init(
            project=project,
            id=run,
            name=name,
            config=config,
            resume="allow",
            dir=str(folder),
            reinit="create_new",
        )

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Logs the values at a step."""
        self._run.log(dict(values), step=step)

    def text(self, step: int, name: str, text: str) -> None:
        """Logs the text as preformatted HTML, escaped."""
        import html

        self._run.log({name: self._wandb.Html(f"<pre>{html.escape(text)}</pre>")}, step=step)

    def image(self, step: int, name: str, png: bytes) -> None:
        """Logs the picture."""
        import io

        from PIL import Image

        self._run.log({name: self._wandb.Image(Image.open(io.BytesIO(png)))}, step=step)

    def close(self) -> None:
        """Sends what is left."""
        self._run.finish()


class MLflowTracker:
    """An MLflow run. The same run directory continues the same run there, which a tag names."""

    def __init__(self, experiment: str, run: str, name: str, config: dict[str, Any]) -> None:
        mlflow = _import("mlflow", "mlflow")
        self._client = mlflow.MlflowClient()
        found = self._client.get_experiment_by_name(experiment)
        where = found.experiment_id if found else self._client.create_experiment(experiment)
        runs = self._client.search_runs([where], f"tags.`raygen.run` = '{run}'", max_results=1)
        if runs:
            self._id = runs[0].info.run_id
            self._client.update_run(self._id, status="RUNNING")
        else:
            created = self._client.create_run(where, run_name=name, tags={"raygen.run": run})
            self._id = created.info.run_id
            for key, value in _flat(config).items():
                self._client.log_param(self._id, key, value)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Logs the values at a step."""
        for name, value in values.items():
            self._client.log_metric(self._id, name, value, step=step)

    def text(self, step: int, name: str, text: str) -> None:
        """Keeps the text as an artifact."""
        self._client.log_text(self._id, text, f"{name}/step-{step:08}.txt")

    def image(self, step: int, name: str, png: bytes) -> None:
        """Keeps the picture as an artifact."""
        import io

        from PIL import Image

        self._client.log_image(self._id, Image.open(io.BytesIO(png)), f"{name}/step-{step:08}.png")

    def close(self) -> None:
        """Marks the run as finished."""
        self._client.set_terminated(self._id)


class Guarded:
    """A tracker whose failures do not stop training.

    Args:
        name: What it is called in the notice.
        make: Makes the tracker.
        notice: Takes the one sentence about its first failure.

    Raises:
        MissingExtraError: the service's package is not installed.
    """

    def __init__(self, name: str, make: Callable[[], Tracker], notice: Callable[[str], None]) -> None:
        self._name = name
        self._notice = notice
        self._tracker: Tracker | None = None
        with self._guard():
            self._tracker = make()

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Takes numbers."""
        if self._tracker is not None:
            with self._guard():
                self._tracker.log(step, values)

    def text(self, step: int, name: str, text: str) -> None:
        """Takes a generated text."""
        if self._tracker is not None:
            with self._guard():
                self._tracker.text(step, name, text)

    def image(self, step: int, name: str, png: bytes) -> None:
        """Takes a generated picture."""
        if self._tracker is not None:
            with self._guard():
                self._tracker.image(step, name, png)

    def close(self) -> None:
        """Writes out what is left."""
        if self._tracker is not None:
            with self._guard():
                self._tracker.close()

    def _guard(self) -> AbstractContextManager[None]:
        return _Guard(self)

    def give_up(self, error: Exception) -> None:
        """Leaves the service out from now on."""
        self._tracker = None
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        self._notice(f"{self._name} failed and is left out from now on: {reason}")


class _Guard(AbstractContextManager[None]):
    def __init__(self, owner: Guarded) -> None:
        self._owner = owner

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        # Foreign code fails in ways of its own, and none of them is worth a training run.
        if isinstance(error, MissingExtraError) or not isinstance(error, Exception):
            return False
        self._owner.give_up(error)
        return True


def open_trackers(
    job: TrainingJob, directory: RunDirectory, step: int, notice: Callable[[str], None]
) -> list[Tracker]:
    """The trackers of a job: TensorBoard's files where the output is a folder, and what `tracking` asks for.

    Args:
        job: A resolved job.
        directory: The run directory.
        step: Steps done.
        notice: Takes sentences that a person should see.

    Raises:
        MissingExtraError: a service's package is not installed.
    """
    config = job.model_dump(mode="json", exclude_none=True)["spec"]
    identity = hashlib.sha256(directory.uri.encode()).hexdigest()[:16]
    trackers: list[Tracker] = []
    folder = directory.storage.local_path("tensorboard")
    if folder is not None:
        events = folder
        trackers.append(Guarded("TensorBoard", lambda: TensorBoardTracker(events, step), notice))
    tracking = job.spec.tracking
    if tracking is not None and tracking.wandb is not None:
        project = tracking.wandb.project
        local = directory.storage.local_path("wandb") or Path(os.devnull)
        make = lambda: WandbTracker(project, identity, directory.name, config, local.parent)  # noqa: E731
        trackers.append(Guarded("Weights & Biases", make, notice))
    if tracking is not None and tracking.mlflow is not None:
        experiment = tracking.mlflow.experiment
        mlflow = lambda: MLflowTracker(experiment, identity, directory.name, config)  # noqa: E731
        trackers.append(Guarded("MLflow", mlflow, notice))
    return trackers


def _import(package: str, extra: str) -> ModuleType:
    from importlib import import_module

    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise MissingExtraError(package, extra) from error


def _flat(value: Any, path: str = "") -> dict[str, str]:
    if isinstance(value, dict):
        return {
            k: v
            for key, inner in value.items()
            for k, v in _flat(inner, f"{path}.{key}" if path else key).items()
        }
    return {path: str(value)[:500]}
