"""Numbers that change while a job trains: the run is that of its job file, wherever it was interrupted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from raygen.errors import OutputError
from raygen.spec import in_force, parse, resolve
from raygen.training.engine.control import Control
from tests.jobs import image_job_document, job_document, set_path, write_images, write_text
from tests.unit.training.runs import Killed, killed_at, losses, train

RATE = "training.optimizer.learningRate"
GENERATOR = "training.optimizers.generator"
CHANGES: dict[str, list[dict[str, Any]]] = {
    "Transformer": [
        {"atStep": 8, "values": {"model.transformer.dropout": 0.3, RATE: 1e-3}},
        {
            "atStep": 12,
            "values": {
                "training.labelSmoothing": 0.2,
                "training.optimizer.weightDecay": 1.0,
                "training.optimizer.betas[0]": 0.5,
                "training.gradientClipNorm": 0.1,
                "training.ema.decay": 0.5,
            },
        },
    ],
    "VAE": [
        {"atStep": 8, "values": {"model.vae.beta": 0.1, "training.optimizer.epsilon": 1e-4}},
        {"atStep": 12, "values": {"model.vae.freeBits": 0.5}},
    ],
    "GAN": [
        {"atStep": 8, "values": {"model.gan.r1": 5.0, f"{GENERATOR}.learningRate": 1e-2}},
        {"atStep": 12, "values": {f"{GENERATOR}.betas[1]": 0.5, "model.gan.r2": 1.0}},
    ],
}


def document(family: str, *, changes: bool = True) -> dict[str, Any]:
    job = job_document() if family == "Transformer" else image_job_document(family)
    job["spec"]["evaluation"].pop("samples")
    if family == "Transformer":
        set_path(job["spec"], ["training", "ema"], {"decay": 0.9})
    if changes:
        job["spec"]["training"]["changes"] = [*reversed(CHANGES[family])]
    return job


@pytest.fixture
def base(tmp_path: Path) -> Path:
    write_text(tmp_path / "text.txt")
    write_images(tmp_path / "images.parquet")
    return tmp_path


def last(base: Path, run: str) -> dict[str, bytes]:
    """What the checkpoint of the last step holds; the names of shards say which attempt wrote them."""
    folder = base / "runs" / run / "checkpoints" / "step-00000020"
    files = (path for path in folder.iterdir() if path.name != "manifest.json")
    return {path.name.partition(".")[0]: path.read_bytes() for path in files}


@pytest.mark.parametrize("family", CHANGES)
def test_a_run_that_is_interrupted_anywhere_is_that_of_its_job(base: Path, family: str) -> None:
    job = document(family)
    train(base, job, run="whole")
    saved = {path.name for path in (base / "runs/whole/checkpoints").iterdir()}
    assert {"step-00000012", "step-00000015", "step-00000020"} == saved
    for step in (8, 10, 13):
        train(base, job, run="stopped", control=Control(stop_at=step))
    train(base, job, run="stopped")
    with pytest.raises(Killed):
        train(base, job, run="killed", observer=killed_at(12))
    train(base, job, run="killed")
    assert last(base, "whole") == last(base, "stopped") == last(base, "killed")
    train(base, document(family, changes=False), run="plain")
    assert last(base, "whole") != last(base, "plain")
    changed, plain = losses(base, "whole"), losses(base, "plain")
    assert [changed[step] for step in range(1, 9)] == [plain[step] for step in range(1, 9)]


@pytest.mark.parametrize("family", CHANGES)
def test_what_changes_is_what_a_job_that_had_it_all_along_would_compute(base: Path, family: str) -> None:
    job = document(family)
    train(base, job, run="whole")
    folder = base / "runs" / "patched"
    train(base, document(family, changes=False), run="patched", control=Control(stop_at=8))
    resolved = resolve(parse(job))
    for change, until in ((8, 12), (12, 20)):
        patched = in_force(resolved, change + 1).model_dump(mode="json", exclude_none=True)
        del patched["spec"]["training"]["changes"]
        patched["spec"]["output"]["run"] = "patched"
        known = json.loads((folder / "job.json").read_text())
        (folder / "job.json").write_text(json.dumps(known | {"job": patched}))
        train(base, patched, run="patched", control=Control(stop_at=until))
    assert last(base, "whole") == last(base, "patched")


def test_further_changes_may_come_behind_the_newest_checkpoint_and_no_others(base: Path) -> None:
    job = document("Transformer")
    train(base, job, run="whole")
    first = document("Transformer", changes=False)
    train(base, first, run="grown", control=Control(stop_at=8))
    shutil.copytree(base / "runs/grown", base / "runs/other")
    train(base, job, run="grown")
    assert last(base, "whole") == last(base, "grown")
    first["spec"]["training"]["changes"] = [{"atStep": 7, "values": {RATE: 1e-4}}]
    with pytest.raises(OutputError, match=r"trained 8 steps.*\n.*atStep 7: null in the run, .*0\.0001.* now"):
        train(base, first, run="other")


def test_a_last_rate_that_follows_from_the_peak_follows_its_changes() -> None:
    changes = [{"atStep": 5, "values": {RATE: 1e-4}}, {"atStep": 9, "values": {RATE: 1e-3}}]
    job = resolve(parse(job_document(training__schedule={"type": "Cosine"}, training__changes=changes)))
    assert resolve(parse(job.model_dump(mode="json"))) == job

    def final(job: Any, step: int) -> float:
        schedule: float = in_force(job, step).spec.training.schedule.final_learning_rate
        return schedule

    assert [final(job, step) for step in (5, 6, 10)] == pytest.approx([1e-3, 1e-5, 1e-4])
    given = {"type": "Cosine", "finalLearningRate": 5e-4}
    fixed = resolve(parse(job_document(training__schedule=given, training__changes=changes)))
    assert [final(fixed, step) for step in (5, 6, 10)] == pytest.approx([5e-4, 1e-4, 5e-4])
