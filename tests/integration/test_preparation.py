"""Data that is prepared on the machines of a real Ray cluster, one of which is lost in the middle."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from raygen.jobfile import dumps
from raygen.spec import parse
from raygen.training.ray.cluster import SETTINGS
from tests.jobs import job_document, write_text

pytestmark = pytest.mark.timeout(600)

SOURCES = 24
RAY = str(Path(sys.executable).with_name("ray"))
OURS = '--resources={"raygen_preparation": 1}'


@contextmanager
def node(environment: dict[str, str], *options: str) -> Iterator[psutil.Process]:
    """A machine of Ray's; ends with all of its processes."""
    shared = ["--block", "--disable-usage-stats", "--object-store-memory=100000000"]
    command = [RAY, "start", *options, *shared]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert process.stdout is not None
        assert any("--block" in line for line in process.stdout), "Ray did not start"
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[dict[str, str], list[psutil.Process]]]:
    """A Ray of a machine that is not to prepare anything and two that are; and these two."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    secret = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    # When it ends nobody is there whose work a machine could wait for.
    ending = {"RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0"}
    environment = {**os.environ, **SETTINGS, **secret, **ending}
    # Any task that went there would fail.
    broken = tmp_path / "broken" / "raygen"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise RuntimeError('data is prepared elsewhere')\n")
    elsewhere = environment | {"PYTHONPATH": str(broken.parent)}
    address = f"--address=127.0.0.1:{port}"
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ray-"))
        head = ["--head", f"--port={port}", f"--temp-dir={folder}", "--num-cpus=4"]
        stack.enter_context(node(elsewhere, *head, "--include-dashboard=false"))
        ours = [stack.enter_context(node(environment, address, "--num-cpus=1", OURS)) for _ in range(2)]
        yield {**os.environ, **secret, "RAY_ADDRESS": f"127.0.0.1:{port}"}, ours


def job_file(folder: Path, **preparation: Any) -> Path:
    folder.mkdir()
    for number in range(SOURCES):
        write_text(folder / f"{number}.txt", lines=8000 + number)
    document = job_document(
        data__train={"sources": [{"uri": f"{number}.txt"} for number in range(SOURCES)]},
        data__tokenizer={"type": "Byte"},
        preparation={"uri": "prepared"} | preparation,
    )
    path = folder / "job.yaml"
    path.write_text(dumps(parse(document)))
    return path


def command(path: Path) -> list[str]:
    return [sys.executable, "-m", "raygen", "prepare", str(path), "--json"]


def test_a_lost_machine_changes_nothing_of_the_data(
    tmp_path: Path, cluster: tuple[dict[str, str], list[psutil.Process]]
) -> None:
    environment, (lost, _) = cluster
    calm = json.loads(
        subprocess.run(command(job_file(tmp_path / "calm")), check=True, capture_output=True).stdout
    )
    path = job_file(tmp_path / "lost", workers=2)
    process = subprocess.Popen(
        command(path), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        deadline = time.monotonic() + 120
        while len(list(path.parent.glob("prepared/work/*/clean/*.json"))) < 2:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        for one in [*lost.children(recursive=True), lost]:
            one.kill()
        done, said = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 0, said
    found = json.loads(done)
    assert (found["new"], found["fingerprint"]) == (True, calm["fingerprint"])
    assert [one.name for one in (path.parent / "prepared").glob("work*")] == []
