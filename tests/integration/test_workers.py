"""Several workers on a real Ray: the same batches and draws, lost workers, signals, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from raygen.jobfile import dumps
from raygen.spec import parse
from raygen.storage import open_storage
from raygen.train.rundir import RunDirectory
from tests.jobs import image_job_document, write_images
from tests.unit.train.runs import losses

pytestmark = pytest.mark.timeout(600)

RAY = ("ray::", "raylet", "gcs_server")


def ray_processes() -> set[int]:
    found = set()
    for process in psutil.process_iter(["cmdline"]):
        command = " ".join(process.info["cmdline"] or ())
        if any(name in command for name in RAY):
            found.add(process.pid)
    return found


def temporary() -> set[str]:
    return {path.name for path in Path(tempfile.gettempdir()).glob("raygen-*")}


@pytest.fixture(autouse=True)
def _nothing_is_left_behind() -> Iterator[None]:
    before, files = ray_processes(), temporary()
    yield
    deadline = time.monotonic() + 30
    while (ray_processes() - before or temporary() - files) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert ray_processes() <= before
    assert temporary() <= files


def command(base: Path, run: str, cores: int, family: str = "VAE", **changes: Any) -> list[str]:
    if not (base / "images.parquet").exists():
        write_images(base / "images.parquet")
    defaults = {"training__optimizer__type": "Adam"} if family == "VAE" else {}
    document = image_job_document(family, **{**defaults, **changes})
    (base / f"{run}.yaml").write_text(dumps(parse(document)), encoding="utf-8")
    options = [
        "--output",
        str(base / "runs"),
        "--run",
        run,
        "--device",
        "cpu",
        "--cores",
        str(cores),
        "--json",
    ]
    return [sys.executable, "-m", "raygen", "train", str(base / f"{run}.yaml"), *options]


def trained(base: Path, run: str, cores: int, *, code: int = 0, **changes: Any) -> dict[str, Any]:
    done = subprocess.run(command(base, run, cores, **changes), capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_one_two_and_three_workers_train_alike(tmp_path: Path) -> None:
    results = {}
    for workers in (1, 2, 3):
        scale = {"workers": workers, "cpusPerWorker": 1}
        results[workers] = trained(tmp_path, f"w{workers}", 3, scale=scale)
    alone = losses(tmp_path, "w1")
    assert sorted(alone) == list(range(1, 21))
    for workers in (2, 3):
        assert losses(tmp_path, f"w{workers}") == pytest.approx(alone, rel=1e-4)
        assert results[workers]["metrics"] == pytest.approx(results[1]["metrics"], rel=1e-4)
        assert results[workers]["step"] == 20
        assert len(list((tmp_path / "runs" / f"w{workers}" / "samples").rglob("*.png"))) == len(
            list((tmp_path / "runs" / "w1" / "samples").rglob("*.png"))
        )


def test_two_networks_train_alike_on_two_workers(tmp_path: Path) -> None:
    gan = {
        "loss": "Hinge",
        "spectralNorm": True,
        "conditional": True,
        "discriminatorSteps": 2,
        "augmentation": {"type": "Adaptive", "rampImages": 64},
    }
    changes: dict[str, Any] = {f"model__gan__{name}": value for name, value in gan.items()}
    changes |= {"training__ema": {"decay": 0.9}, "training__microBatchSize": 3}
    for workers in (1, 2):
        scale = {"workers": workers, "cpusPerWorker": 1}
        trained(tmp_path, f"gan{workers}", 2, family="GAN", scale=scale, **changes)
    assert losses(tmp_path, "gan2") == pytest.approx(losses(tmp_path, "gan1"), rel=1e-2)


def test_a_killed_worker_is_replaced_and_the_run_goes_on_in_the_same_attempt(tmp_path: Path) -> None:
    changes = {
        "training__duration__steps": 2000,
        "checkpoint__everySteps": 100,
        "evaluation__everySteps": None,
        "evaluation__samples": None,
        "scale": {"workers": 2, "cpusPerWorker": 1},
    }
    alone = trained(tmp_path, "alone", 2, **{**changes, "scale": {"workers": 1}})
    process = subprocess.Popen(
        command(tmp_path, "killed", 2, **changes), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        checkpoints = tmp_path / "runs" / "killed" / "checkpoints"
        wait(lambda: len(list(checkpoints.glob("*/manifest.json"))) >= 2, process)
        workers = [
            one
            for one in psutil.Process(process.pid).children(recursive=True)
            if "RayTrainWorker" in " ".join(one.cmdline())
        ]
        assert len(workers) == 2
        os.kill(workers[-1].pid, signal.SIGKILL)
        out, err = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 0, err
    result = json.loads(out)
    assert (result["state"], result["step"], result["attempt"]) == ("Succeeded", 2000, 1)
    assert losses(tmp_path, "killed") == pytest.approx(losses(tmp_path, "alone"), rel=1e-2)
    assert result["metrics"] == pytest.approx(alone["metrics"], rel=1e-2)
    attempts = RunDirectory(open_storage(str(tmp_path / "runs")), "killed").attempts()
    assert [one.cause for one in attempts] == ["Completed"]


def test_a_signal_stops_all_workers_at_one_step(tmp_path: Path) -> None:
    changes = {
        "training__duration__steps": 100_000,
        "checkpoint__everySteps": 50,
        "evaluation__everySteps": None,
        "evaluation__samples": None,
        "scale": {"workers": 2, "cpusPerWorker": 1},
    }
    process = subprocess.Popen(
        command(tmp_path, "stopped", 2, **changes), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        checkpoints = tmp_path / "runs" / "stopped" / "checkpoints"
        wait(lambda: bool(list(checkpoints.glob("*/manifest.json"))), process)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 3, err
    result = json.loads(out)
    assert (result["state"], result["reason"]) == ("Stopped", "SIGTERM")
    newest = max(int(path.parent.name.removeprefix("step-")) for path in checkpoints.glob("*/manifest.json"))
    assert newest == result["step"]


def test_more_than_there_is_is_refused_within_seconds(tmp_path: Path) -> None:
    from raygen.errors import InputError
    from raygen.train.events import Silent
    from raygen.train.launch import launch
    from raygen.train.startup import Startup
    from raygen.train.stop import Stop

    scale = parse(image_job_document(scale={"workers": 8, "cpusPerWorker": 1})).spec.scale
    began = time.monotonic()
    with pytest.raises(InputError, match="need 8 cores, and this machine has 2"):
        launch(scale, {}, 2, Stop(), Silent(), Startup())
    assert time.monotonic() - began < 5


def test_a_guard_that_stops_does_so_on_all_workers(tmp_path: Path) -> None:
    changes = {
        "training__optimizer": {"type": "SGD", "learningRate": 900.0},
        "scale": {"workers": 2, "cpusPerWorker": 1},
    }
    done = trained(tmp_path, "ill", 2, code=1, **changes)
    assert done["error"]["type"] == "GuardError"
    outcome = json.loads((tmp_path / "runs" / "ill" / "outcome.json").read_text())
    assert (outcome["state"], outcome["reason"]) == ("Failed", "NonFiniteLoss")


def wait(condition: Any, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
