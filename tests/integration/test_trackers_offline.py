"""Drives the real W&B and MLflow clients, offline, in an environment of their own.

They are large and would bring their own versions of much into the development environment. The environment
is made once and kept in the user's cache folder, under the hash of the versions in it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DRIVER = Path(__file__).with_name("offline_services.py")
PACKAGES = ("wandb", "mlflow", "pillow")

pytestmark = [pytest.mark.network, pytest.mark.timeout(900)]


@pytest.fixture(scope="session")
def services_python() -> Path:
    """The interpreter of an environment with the packages of the extras wandb and mlflow."""
    constraints = ROOT / "constraints.txt"
    versions = constraints.read_text(encoding="utf-8") if constraints.is_file() else ""
    key = hashlib.sha256("\n".join((sys.version, *PACKAGES, versions)).encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "raygen-tests"
    folder = cache / key
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f"{key}-", dir=cache))
        try:
            _install(unfinished, constraints)
            # Another session may have been faster; the two are equal.
            unfinished.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return folder / "bin" / "python"


def _install(folder: Path, constraints: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=120)
    held = ["-c", str(constraints)] if constraints.is_file() else []
    python, uv = folder / "bin" / "python", Path(sys.executable).with_name("uv")
    install: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if uv.exists():
        install = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python]
    subprocess.run([*install, *held, *PACKAGES], check=True, timeout=700)


def drive(python: Path, service: str, folder: Path, **environment: str) -> dict[str, Any]:
    """What the service holds after two attempts of one run, the second of which resumed."""
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        **environment,
    }
    done = subprocess.run(
        [str(python), str(DRIVER), service],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    held: dict[str, Any] = json.loads(done.stdout)
    return held


def test_wandb_offline_continues_one_run(services_python: Path, tmp_path: Path) -> None:
    held = drive(services_python, "wandb", tmp_path, WANDB_MODE="offline")
    assert [attempt["id"] for attempt in held["attempts"]] == ["abc123", "abc123"]
    first, second = (attempt["history"] for attempt in held["attempts"])
    assert [(row["step"], row["train/loss"]) for row in first if "train/loss" in row] == [
        (1, 1.0),
        (2, 0.5),
        (3, 0.25),
    ]
    assert [(row["step"], row["train/loss"]) for row in second if "train/loss" in row] == [
        (2, 0.5),
        (3, 0.25),
        (4, 0.125),
    ]
    assert held["attempts"][0]["exit"] == 1
    assert held["attempts"][0]["preempting"]
    assert held["attempts"][1]["exit"] == 0
    assert held["texts"] == ["<pre>ROMEO:&lt;script&gt;\nBut soft</pre>"] * 2
    assert held["pictures_are_equal"] == [True, True]


def test_mlflow_on_sqlite_continues_one_run(services_python: Path, tmp_path: Path) -> None:
    held = drive(services_python, "mlflow", tmp_path, MLFLOW_TRACKING_URI=f"sqlite:///{tmp_path}/mlflow.db")
    assert held["status_after_first"] == "KILLED"
    [run] = held["runs"]
    assert run["status"] == "FINISHED"
    assert run["name"] == "shakespeare"
    assert run["params"] == {"model.layers": "4", "steps": "1"}
    assert [point["step"] for point in run["loss"]] == [1, 2, 2, 3, 3, 4]
    assert run["loss"][-1]["value"] == 0.125
    assert run["texts"] == ["ROMEO:<script>\nBut soft"] * 2
    assert run["pictures_are_equal"] == [True, True]


def test_wandb_without_credentials_is_refused_without_a_question(
    services_python: Path, tmp_path: Path
) -> None:
    held = drive(services_python, "wandb-no-credentials", tmp_path)
    assert held["error"] == "there are no credentials\nSet WANDB_API_KEY, or WANDB_MODE=offline."


def test_mlflow_without_a_server_holds_up_nothing(services_python: Path, tmp_path: Path) -> None:
    held = drive(
        services_python,
        "mlflow-guarded",
        tmp_path,
        MLFLOW_TRACKING_URI="http://127.0.0.1:9",
        MLFLOW_HTTP_REQUEST_MAX_RETRIES="0",
    )
    [notice] = held["notices"]
    assert notice.startswith("MLflow does not get everything; training goes on: ")
