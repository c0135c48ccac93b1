"""Broadcast workers on a real Ray: the same batches and draws, lost workers, signals, and nothing left behind."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from raygen.scratch import users
from raygen.spec import parse
from raygen.training.ray.cluster import SETTINGS
from tests.figures import OF_GPUS, OF_RAY, OF_RUNS
from tests.integration.commands import (
    causes,
    checkpoints,
    command,
    endless,
    outcome,
    trained,
    training,
    workers_of,
)
from tests.jobs import image_job_document, write_images
from tests.unit.models.test_custom import MODEL
from tests.unit.training.runs import losses

pytestmark = pytest.mark.timeout(600)

RAY = ("ray::", "raylet", "gcs_server", "raygen.scratch")


def ray_processes(folder: str) -> list[str]:
    """Command lines of Ray's processes that belong to a folder: those of a test, and not of others beside it.

    Workers of Ray overwrite their environment by their title, but have files open in the folder.
    """
    inside, found = set(users(Path(folder))), []
    for process in psutil.process_iter(["cmdline"]):
        command = " ".join(process.info["cmdline"] or ())
        with suppress(psutil.Error):
            if any(name in command for name in RAY) and (
                process.pid in inside or process.environ().get("TMPDIR") == folder
            ):
                found.append(command)
    return found


@pytest.fixture(autouse=True)
def _nothing_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="t-", dir="/tmp") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        yield
        deadline = time.monotonic() + 30
        while (ray_processes(folder) or list(Path(folder).glob("raygen-*"))) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert not ray_processes(folder)
        assert not list(Path(folder).glob("raygen-*"))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of processes that use a Ray of 3 cores, which others may use too."""
    with socket.socket() as free, tempfile.TemporaryDirectory(prefix="ray-") as folder:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        secret = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        secret["RAY_metrics_report_interval_ms"] = "1000"
        ray = str(Path(sys.executable).with_name("ray"))
        options = ["--block", "--num-cpus=3", "--include-dashboard=false", "--disable-usage-stats"]
        head = subprocess.Popen(
            [ray, "start", "--head", f"--port={port}", f"--temp-dir={folder}", *options],
            env={**os.environ, **SETTINGS, **secret},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            assert head.stdout is not None
            assert any("--block" in line for line in head.stdout), "Ray did not start"
            yield {**os.environ, **secret, "RAY_ADDRESS": f"127.0.0.1:{port}"}
        finally:
            head.terminate()
            head.communicate(timeout=60)


def asked(environment: dict[str, str], expression: str) -> Any:
    """What Python says of an expression that asks a cluster."""
    program = (
        "import json, logging, ray; ray.init(logging_level=logging.ERROR, log_to_driver=False);"
        f"from ray.util import placement_group_table; print(json.dumps({expression}))"
    )
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def placement_groups(environment: dict[str, str]) -> set[str]:
    """The states of all placement groups of a cluster."""
    return set(asked(environment, "[group['state'] for group in placement_group_table().values()]"))


@contextmanager
def exported(port: int) -> Iterator[dict[str, dict[str, str]]]:
    """What Prometheus would read of a machine of Ray's meanwhile: each name, and the labels of one of its series."""
    found: dict[str, dict[str, str]] = {}
    over = threading.Event()

    def read() -> None:
        while not over.wait(0.5):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                text = answer.read().decode()
            for family in text_string_to_metric_families(text):
                found.update((sample.name, sample.labels) for sample in family.samples)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


@pytest.mark.long
def test_one_two_and_three_workers_train_alike(tmp_path: Path, cluster: dict[str, str]) -> None:
    results = {1: trained(tmp_path, "w1", 3, scale={"workers": 1, "cpusPerWorker": 1})}
    # It finds something at once, and changes nothing.
    guards = [
        {"type": "PosteriorCollapse", "action": "Warn", "threshold": 1000, "patience": 1, "afterSteps": 0}
    ]
    with exported(asked(cluster, "ray.nodes()[0]['MetricsExportPort']")) as figures:
        for workers in (2, 3):
            changes = {"scale": {"workers": workers, "cpusPerWorker": 1}, "training__guards": guards}
            results[workers] = trained(tmp_path, f"w{workers}", 3, environment=cluster, **changes)
    figures_are_all_there(figures)
    alone = losses(tmp_path, "w1")
    assert sorted(alone) == list(range(1, 21))
    for workers in (2, 3):
        assert losses(tmp_path, f"w{workers}") == pytest.approx(alone, rel=1e-4)
        assert results[workers]["metrics"] == pytest.approx(results[1]["metrics"], rel=1e-4)
        assert results[workers]["step"] == 20
        assert len(list((tmp_path / "runs" / f"w{workers}" / "samples").rglob("*.png"))) == len(
            list((tmp_path / "runs" / "w1" / "samples").rglob("*.png"))
        )
    assert placement_groups(cluster) == {"REMOVED"}
    scale = {"workers": 2, "cpusPerWorker": 2}
    soon = cluster | {"RAYGEN_JOIN_SECONDS": "1"}
    refused = trained(tmp_path, "w4", 3, code=2, environment=soon, scale=scale)
    assert "have room for 1: 3 CPUs" in refused["error"]["what"]
    assert "Lower scale.workers" in refused["error"]["remedy"]
    stranger = cluster | {"RAY_AUTH_TOKEN": secrets.token_hex(32)}
    refused = trained(tmp_path, "w5", 3, code=2, environment=stranger, scale=scale)
    assert refused["error"]["where"] == "RAY_ADDRESS"
    assert "RAY_AUTH_TOKEN" in refused["error"]["remedy"]


def figures_are_all_there(found: dict[str, dict[str, str]]) -> None:
    """What the runs measured came with Ray's own figures, by the names that alerts and dashboards use."""
    assert found.keys() >= OF_RUNS | OF_RAY
    assert {found[name]["run"] for name in OF_RUNS} <= {"w2", "w3"}
    assert {found[name]["training_job"] for name in OF_RUNS} == {"tiny"}
    # Of GPUs there is nothing to be seen here but Ray's names for what it would say.
    from ray.dashboard.modules.reporter.reporter_agent import METRICS_GAUGES

    assert METRICS_GAUGES.keys() >= {name.removeprefix("ray_") for name in OF_GPUS}


@pytest.mark.long
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


@pytest.mark.long
def test_a_killed_worker_is_replaced_and_the_run_goes_on_in_the_same_attempt(tmp_path: Path) -> None:
    changes = endless(100, training__duration__steps=2000)
    alone = trained(tmp_path, "alone", 2, **{**changes, "scale": {"workers": 1}})
    with training(command(tmp_path, "killed", 2, **changes)) as process:
        wait(lambda: len(checkpoints(tmp_path, "killed")) >= 2, process)
        workers = workers_of(process)
        assert len(workers) == 2
        workers[-1].kill()
        out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    result = json.loads(out)
    assert (result["state"], result["step"], result["attempt"]) == ("Succeeded", 2000, 1)
    assert losses(tmp_path, "killed") == pytest.approx(losses(tmp_path, "alone"), rel=1e-2)
    assert result["metrics"] == pytest.approx(alone["metrics"], rel=1e-2)
    assert causes(tmp_path, "killed") == ["Completed"]


@pytest.mark.long
def test_workers_that_are_lost_too_often_end_the_run(tmp_path: Path) -> None:
    arguments = command(tmp_path, "lost", 2, **endless())
    program = (
        "import sys; from raygen.training.ray import launch; launch.WORKER_FAILURES = 0;"
        "from raygen.cli.main import main; sys.exit(main())"
    )
    with training([sys.executable, "-c", program, *arguments[3:]]) as process:
        wait(lambda: bool(checkpoints(tmp_path, "lost")), process)
        workers_of(process)[0].kill()
        out, err = process.communicate(timeout=120)
    assert process.returncode == 1, out + err
    assert "Traceback" not in err
    error = json.loads(out)["error"]
    assert error["what"].startswith("the workers were lost: the processes of these workers ended: ")
    assert "goes on from the newest checkpoint" in error["remedy"]
    document = outcome(tmp_path, "lost")
    assert (document["state"], document["reason"]) == ("Failed", "RunError")
    assert document["step"] >= 50


@pytest.mark.long
def test_a_killed_driver_leaves_nothing_but_the_run(tmp_path: Path) -> None:
    content = MODEL.encode()
    (tmp_path / "model.py").write_bytes(content)
    package = {"uri": "model.py", "sha256": hashlib.sha256(content).hexdigest()}
    changes = endless(model__custom={"entrypoint": "model:Model", "package": package})
    with training(command(tmp_path, "orphan", 2, family="Custom", **changes)) as process:
        wait(lambda: bool(checkpoints(tmp_path, "orphan")), process)
        workers = workers_of(process)
        process.kill()
        # Until they are ended they train on, and leave checkpoints.
        assert psutil.wait_procs(workers, timeout=60)[1] == []
    newest = checkpoints(tmp_path, "orphan")[-1]
    steps = {"training__duration__steps": newest + 10, "scale": {"workers": 1}}
    result = trained(tmp_path, "orphan", 1, family="Custom", **{**changes, **steps})
    assert (result["step"], result["attempt"]) == (newest + 10, 2)
    assert sorted(losses(tmp_path, "orphan")) == list(range(1, newest + 11))


def test_a_signal_stops_all_workers_at_one_step(tmp_path: Path) -> None:
    with training(command(tmp_path, "stopped", 2, **endless())) as process:
        wait(lambda: bool(checkpoints(tmp_path, "stopped")), process)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 3, err
    result = json.loads(out)
    assert (result["state"], result["reason"]) == ("Stopped", "SIGTERM")
    assert checkpoints(tmp_path, "stopped")[-1] == result["step"]


def test_a_signal_during_a_long_evaluation_leaves_it_and_saves_the_step(tmp_path: Path) -> None:
    """Workers that evaluate for a minute cannot be asked between two steps, and are neither lost nor given up."""
    begun = tmp_path / "evaluating"
    slow = MODEL.replace(
        "        losses = self.loss(batch)\n",
        f"        pathlib.Path({str(begun)!r}).touch()\n        time.sleep(2)\n        losses = self.loss(batch)\n",
    )
    (tmp_path / "model.py").write_text("import pathlib\nimport time\n" + slow)
    changes = endless(
        model__custom={"entrypoint": "model:Model"},
        data__validation__fraction=0.5,
        training__microBatchSize=1,
        evaluation__everySteps=60,
    )
    with training(command(tmp_path, "slow", 2, family="Custom", **changes)) as process:
        wait(begun.exists, process)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 3, err
    result = json.loads(out)
    assert (result["state"], result["reason"], result["step"]) == ("Stopped", "SIGTERM", 60)
    assert checkpoints(tmp_path, "slow")[-1] == 60
    assert result["metrics"] == {}


def test_a_source_that_disappears_ends_the_run_with_a_checkpoint(tmp_path: Path) -> None:
    """As a bucket whose server has gone for longer than requests are repeated.

    A step has one sample more than an epoch, so that the last worker needs an epoch's shard a step before the first one does:
    it has to leave the checkpoint, while the first one is in the middle of the next step.
    """
    write_images(tmp_path / "images.parquet", 2047)
    write_images(tmp_path / "more.parquet", 20)
    validation = {"uri": "more.parquet", "format": "Parquet"}
    changes = endless(
        40,
        preparation={"uri": "prepared"},
        data__validation={"sources": [validation]},
        training__globalBatchSize=2048,
    )
    with training(command(tmp_path, "gone", 2, **changes)) as process:
        wait(lambda: bool(checkpoints(tmp_path, "gone")), process)
        shutil.rmtree(tmp_path / "prepared" / "train")
        out, err = process.communicate(timeout=120)
    assert process.returncode == 2, out + err
    error = json.loads(out)["error"]
    assert error["type"] == "DataError"
    assert "in the index, and not there" in error["what"]
    assert error["where"]
    assert error["remedy"]
    document = outcome(tmp_path, "gone")
    assert (document["state"], document["reason"]) == ("Failed", "DataError")
    assert checkpoints(tmp_path, "gone")[-1] == document["step"] == max(losses(tmp_path, "gone"))
    (cause,) = causes(tmp_path, "gone")
    assert cause is not None
    assert cause.startswith("DataError")


def test_a_signal_before_the_first_step_ends_the_run_at_once(tmp_path: Path) -> None:
    with training(command(tmp_path, "early", 2, **endless())) as process:
        wait(lambda: (tmp_path / "runs" / "early" / "attempts" / "001.json").exists(), process)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 3, err
    assert json.loads(out)["state"] == outcome(tmp_path, "early")["state"] == "Stopped"
    assert time.monotonic() - began < 60
    assert causes(tmp_path, "early") == ["SIGTERM"]


def test_more_than_there_is_is_refused_within_seconds(tmp_path: Path) -> None:
    from raygen.errors import InputError
    from raygen.training.engine.control import Control
    from raygen.training.observers.events import Observer
    from raygen.training.observers.goodput import Goodput
    from raygen.training.observers.startup import Startup
    from raygen.training.ray.launch import launch
    from raygen.training.ray.mailbox import ClaimedAttempt, Task

    scale = parse(image_job_document(scale={"workers": 8, "cpusPerWorker": 1})).spec.scale
    began = time.monotonic()
    with pytest.raises(InputError, match="need 8 cores, and this machine has 2"):
        launch(
            scale,
            Task({}, "", "", "", None, [], None, reports=False),
            2,
            Control(),
            Observer(),
            Startup(),
            Goodput(),
            None,
            lambda facts: ClaimedAttempt({}, 0, ""),
        )
    assert time.monotonic() - began < 5


@pytest.mark.long
def test_a_guard_sends_all_workers_back_and_then_stops_them(tmp_path: Path) -> None:
    changes = {
        "training__optimizer": {"type": "SGD", "learningRate": 900.0},
        "training__guards": [{"type": "NonFiniteLoss", "action": "RollBack"}],
        "training__rollBack": {"limit": 1, "learningRateFactor": 0.9},
        "scale": {"workers": 2, "cpusPerWorker": 1},
    }
    done = trained(tmp_path, "ill", 2, code=1, **changes)
    assert done["error"]["type"] == "GuardError"
    assert "after the run had gone back 1 times" in done["error"]["what"]
    document = outcome(tmp_path, "ill")
    assert (document["state"], document["reason"]) == ("Failed", "NonFiniteLoss")
    back, stopped = document["guards"]
    assert (back["type"], back["action"], back["to"]) == ("NonFiniteLoss", "RollBack", 0)
    assert back.keys() == stopped.keys() | {"to"}
    assert stopped["step"] == document["step"] >= 1
    assert stopped["remedy"]
    first, second = causes(tmp_path, "ill")
    assert first is not None
    assert first.startswith("RolledBack: NonFiniteLoss")
    assert second is not None
    assert second.startswith("NonFiniteLoss")


def wait(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
