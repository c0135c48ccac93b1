"""A trial begins from the checkpoint of a run that its job agrees with, or by itself: the bytes are the same."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from raygen.checkpoint import steps
from raygen.run.directory import RunDirectory
from raygen.storage import LocalStorage
from raygen.sweeps.trials.inheriting import inherit
from raygen.sweeps.trials.protocol import Ancestor, TrialTask
from raygen.training.engine.control import Control
from tests.jobs import image_job_document, job_document, write_images, write_text
from tests.unit.training.runs import train

CHANGED: dict[str, dict[str, Any]] = {
    "Transformer": {"training.optimizer.learningRate": 1e-3},
    "VAE": {"model.vae.beta": 0.5},
    "GAN": {"training.optimizers.discriminator.learningRate": 1e-4},
}
FROM_10 = (Ancestor("t0000", 0, 10),)


def document(family: str, number: int, changes: list[dict[str, Any]]) -> dict[str, Any]:
    job = job_document() if family == "Transformer" else image_job_document(family)
    job["metadata"]["name"] = f"t{number:04d}"
    job["spec"]["checkpoint"] = {"everySteps": 5, "keep": 9}
    job["spec"]["evaluation"].pop("samples")
    if changes:
        job["spec"]["training"]["changes"] = changes
    return job


def task(base: Path, job: dict[str, Any], ancestors: tuple[Ancestor, ...] = FROM_10) -> TrialTask:
    name = job["metadata"]["name"]
    number = int(name[1:])
    return TrialTask(number, None, job, str(base), str(base / "runs"), name, 1, {}, ancestors)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    write_text(tmp_path / "text.txt")
    write_images(tmp_path / "images.parquet")
    return tmp_path


def run_of(base: Path, run: str) -> RunDirectory:
    return RunDirectory(LocalStorage(base / "runs"), run)


def last(base: Path, run: str) -> dict[str, bytes]:
    folder = base / "runs" / run / "checkpoints" / "step-00000020"
    files = (path for path in folder.iterdir() if path.name != "manifest.json")
    return {path.name.partition(".")[0]: path.read_bytes() for path in files}


@pytest.mark.parametrize("family", CHANGED)
def test_a_child_is_the_run_of_its_own_job(base: Path, family: str) -> None:
    train(base, document(family, 0, []), run="t0000")
    child = document(family, 1, [{"atStep": 10, "values": CHANGED[family]}])
    assert inherit(task(base, child), Control()) == 10
    assert inherit(task(base, child), Control()) is None, "it has begun"
    result = train(base, child, run="t0001")
    assert (result.attempt, result.step) == (1, 20)
    assert min(line.step for line in run_of(base, "t0001").read_metrics().lines) == 11
    train(base, child, run="scratch")
    assert last(base, "t0001") == last(base, "scratch") != last(base, "t0000")


def test_a_grandchild_takes_the_nearest_checkpoint_that_is_kept(base: Path) -> None:
    changes = [{"atStep": 5, "values": CHANGED["Transformer"]}]
    train(base, document("Transformer", 0, []), run="t0000")
    train(base, document("Transformer", 1, changes), run="t0001", control=Control(stop_at=15))
    later = [*changes, {"atStep": 15, "values": {"training.optimizer.learningRate": 0.02}}]
    job = document("Transformer", 2, later)
    ancestors = (Ancestor("t0001", 5, 15), Ancestor("t0000", 0, 5))

    def begun() -> int | None:
        shutil.rmtree(base / "runs/t0002", ignore_errors=True)
        return inherit(task(base, job, ancestors), Control(), wait_s=0)

    def lost(run: str, step: int) -> None:
        shutil.rmtree(base / "runs" / run / "checkpoints" / f"step-{step:08d}")

    assert begun() == 15
    (shard,) = (base / "runs/t0001/checkpoints/step-00000015").glob("*.safetensors")
    shard.write_bytes(bytes(shard.stat().st_size))
    assert begun() == 10
    assert steps(run_of(base, "t0002").checkpoints) == [10]
    lost("t0001", 10)
    # Its own checkpoint of step 5 is the parent's of step 5, which is the one that is named for it.
    assert begun() == 5
    train(base, job, run="t0002")
    train(base, job, run="scratch")
    assert last(base, "t0002") == last(base, "scratch")
    lost("t0000", 5)
    assert begun() is None
    assert not run_of(base, "t0002").storage.exists("job.json")


def test_a_child_waits_for_a_checkpoint_that_is_being_written_and_no_longer(base: Path) -> None:
    train(base, document("Transformer", 0, []), run="t0000", control=Control(stop_at=5))
    child = task(base, document("Transformer", 1, [{"atStep": 10, "values": CHANGED["Transformer"]}]))
    found: list[int | None] = []
    waiting = threading.Thread(target=lambda: found.append(inherit(child, Control())))
    waiting.start()
    train(base, document("Transformer", 0, []), run="t0000")
    waiting.join(60)
    assert found == [10]
    stopped = Control()
    stopped.stop()
    nowhere = document("Transformer", 2, [])
    assert inherit(task(base, nowhere, (Ancestor("t0009", 0, 10),)), stopped) is None
