"""Sweeps in processes of their own: what they are made from, asked and waited for."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from raygen.run.directory import RunDirectory
from raygen.storage import LocalStorage
from raygen.sweeps.directory import SweepDirectory
from raygen.sweeps.events import Event
from tests.jobs import write_text
from tests.sweeps import sweep_document


def write_sweep(folder: Path, **changes: Any) -> Path:
    write_text(folder / "text.txt")
    path = folder / "sweep.yaml"
    path.write_text(yaml.safe_dump(sweep_document(**changes)), encoding="utf-8")
    return path


def raygen(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "raygen", *map(str, arguments)]


def done(*arguments: str | Path, cwd: Path, code: int = 0) -> Any:
    """What a command prints with --json."""
    ended = subprocess.run(raygen(*arguments, "--json"), cwd=cwd, capture_output=True, text=True)
    assert ended.returncode == code, ended.stdout + ended.stderr
    return json.loads(ended.stdout)


def events_of(sweep: Path) -> list[Event]:
    return SweepDirectory(LocalStorage(sweep)).read()


def until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def weights(run: Path) -> list[bytes]:
    """The bytes of the last checkpoint's tensors."""
    checkpoint = max(RunDirectory(LocalStorage(run.parent), run.name).storage.list("checkpoints/")).key.split(
        "/"
    )[1]
    return [path.read_bytes() for path in sorted((run / "checkpoints" / checkpoint).glob("*.safetensors"))]
