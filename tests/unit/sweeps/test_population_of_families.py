"""Populations of each family, trained for real in this process: children go on from checkpoints, and get further than without them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from raygen.run.directory import RunDirectory
from raygen.spec.schema.validate import parse_kind
from raygen.spec.sweep.sweep import Sweep
from raygen.storage import LocalStorage
from raygen.sweeps.directory import SweepDirectory
from raygen.sweeps.driver import Driver
from raygen.sweeps.policy import Policy
from raygen.sweeps.record import SweepRecord
from raygen.sweeps.replay import replay
from raygen.sweeps.sweep import SilentWatcher
from raygen.sweeps.trials.protocol import Left, Message, TrialTask
from raygen.sweeps.trials.training import RunningTrial
from raygen.training.engine.control import Control
from tests.jobs import image_job_document, job_document, write_images, write_text
from tests.unit.training.runs import train

RATE = "training.optimizer.learningRate"
GENERATOR, DISCRIMINATOR = (
    f"training.optimizers.{one}.learningRate" for one in ("generator", "discriminator")
)
SPACES: dict[str, list[dict[str, Any]]] = {
    "Transformer": [{"path": RATE, "type": "Real", "low": 1e-4, "high": 1e-1, "scale": "Log"}],
    "VAE": [
        {"path": RATE, "type": "Real", "low": 1e-4, "high": 1e-1, "scale": "Log"},
        {"path": "model.vae.beta", "type": "Real", "low": 0.1, "high": 2},
    ],
    "GAN": [
        {"path": GENERATOR, "type": "Real", "low": 1e-4, "high": 1e-1, "scale": "Log"},
        {"path": DISCRIMINATOR, "type": "Linked", "of": GENERATOR, "factor": 0.5},
    ],
}


class OneWorker:
    """Trains a trial at a time in this process."""

    def __init__(self) -> None:
        self._trial: RunningTrial | None = None
        self._messages: Iterator[Message] = iter(())

    @property
    def free(self) -> int:
        return int(self._trial is None)

    def start(self, task: TrialTask) -> None:
        self._trial = RunningTrial(task)
        self._messages = self._trial.messages()

    def answer(self, trial: int, until: int | None, *, stay: bool) -> None:
        if self._trial is not None and self._trial.number == trial:
            self._trial.answer(until, stay=stay)

    def stop(self, trial: int) -> None:
        if self._trial is not None and self._trial.number == trial:
            self._trial.stop()

    def wait(self, seconds: float) -> Sequence[Message]:
        del seconds
        if self._trial is None:
            return []
        message = next(self._messages)
        if isinstance(message, Left):
            self._trial = None
        return [message]


def sweep_of(family: str, scheduler: Mapping[str, Any], trials: int) -> Sweep:
    job = job_document() if family == "Transformer" else image_job_document(family)
    template = job["spec"]
    template.pop("output")
    template["evaluation"].pop("samples")
    template["training"]["duration"] = {"steps": 30}
    template["checkpoint"] = {"everySteps": 5, "keep": 9}
    template["evaluation"]["everySteps"] = 5
    rate = SPACES[family][0]["path"]
    document = {
        "apiVersion": "raygen.io/v1alpha1",
        "kind": "Sweep",
        "metadata": {"name": family.lower()},
        "spec": {
            "template": {"spec": template},
            "parameters": SPACES[family],
            "objectives": [
                {"entryPoint": "tests.unit.sweeps.judges:brightness", "goal": "Minimize"}
                if family == "GAN"
                else {"metric": "loss", "goal": "Minimize"}
            ],
            "search": {"type": "Random"},
            "scheduler": dict(scheduler),
            "budget": {"trials": trials},
            # Too slow, all of them: who only trains them stays behind.
            "startingPoints": [{"values": {rate: value}} for value in (1e-4, 3e-4, 1e-3)],
        },
    }
    return parse_kind(Sweep, document)


def swept(base: Path, family: str, scheduler: Mapping[str, Any], trials: int) -> SweepRecord:
    directory = SweepDirectory(LocalStorage(base / f"{family} {scheduler['type']}"))
    sweep = sweep_of(family, scheduler, trials)
    driver = directory.claim({"host": "here"})
    Driver(
        sweep,
        base,
        directory,
        driver,
        [],
        Policy(sweep, 1),
        OneWorker(),
        1,
        Control(),
        SilentWatcher(),
    ).run()
    return SweepRecord(directory.uri)


def last(run: Path) -> dict[str, bytes]:
    """What the checkpoint of the last step holds."""
    files = (path for path in (run / "checkpoints/step-00000030").iterdir() if path.name != "manifest.json")
    return {path.name.partition(".")[0]: path.read_bytes() for path in files}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    write_text(tmp_path / "text.txt")
    write_images(tmp_path / "images.parquet")
    return tmp_path


@pytest.mark.parametrize(
    ("family", "kind"), [("Transformer", "PBT"), ("Transformer", "PB2"), ("VAE", "PBT"), ("GAN", "PBT")]
)
def test_members_take_over_from_each_other_and_get_further(base: Path, family: str, kind: str) -> None:
    scheduler = {"type": kind, "firstSteps": 5, "population": 3, "quantile": 0.34}
    record = swept(base, family, scheduler, 9)
    history, (best,) = record.history, record.best
    children = [one for one in history.trials if one.parent is not None]
    assert len(children) >= 3
    for child in children:
        run = RunDirectory(LocalStorage(base / f"{family} {kind}/trials"), f"t{child.number:04d}")
        # It has trained nothing of what its parents had trained.
        assert min(line.step for line in run.read_metrics().lines) == child.parent_step + 1
        assert min(child.reports, default=30) > child.parent_step
    assert best.parent is not None, "the best one has learned from others"
    alone = swept(base, family, {"type": "Full"}, 3).history
    score, without = history.score(best), min(alone.score(one) or (0.0,) for one in alone.trials)
    assert score is not None
    assert score < without
    assert replay(record.directory.uri).differences == ()
    job = record.job(best.number)
    line = history.lineage(best)
    assert [change.at_step for change in job.spec.training.changes] == [one.parent_step for one in line[1:]]
    train(base, job.model_dump(mode="json", exclude_unset=True), run="again", cores=1)
    assert last(base / "runs/again") == last(base / f"{family} {kind}/trials/t{best.number:04d}")
