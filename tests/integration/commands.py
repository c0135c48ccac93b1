"""Runs of `raygen train` in processes of their own, on small images, and what they leave."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from raygen.jobfile import dumps
from raygen.run.directory import RunDirectory
from raygen.spec import parse
from raygen.storage import open_storage
from tests.jobs import image_job_document, write_images


def command(base: Path, run: str, cores: int, family: str = "VAE", **changes: Any) -> list[str]:
    if not (base / "images.parquet").exists():
        write_images(base / "images.parquet")
    defaults = {"training__optimizer__type": "Adam"} if family == "VAE" else {}
    document = image_job_document(family, **{**defaults, **changes})
    (base / f"{run}.yaml").write_text(dumps(parse(document)), encoding="utf-8")
    options = [
        "--output",
        # As the job's own default, relative to a folder in which no worker is.
        os.path.relpath(base / "runs"),
        "--run",
        run,
        "--device",
        "cpu",
        "--cores",
        str(cores),
        "--json",
    ]
    return [sys.executable, "-m", "raygen", "train", str(base / f"{run}.yaml"), *options]


def trained(
    base: Path, run: str, cores: int, *, code: int = 0, environment: Any = None, **changes: Any
) -> dict[str, Any]:
    done = subprocess.run(
        command(base, run, cores, **changes), env=environment, capture_output=True, text=True
    )
    assert done.returncode == code, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@contextmanager
def training(arguments: list[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    children = psutil.Process(process.pid).children(recursive=True)
    return [one for one in children if "RayTrainWorker" in " ".join(one.cmdline())]


def checkpoints(base: Path, run: str) -> list[int]:
    """Steps of the checkpoints that are complete."""
    found = (base / "runs" / run / "checkpoints").glob("*/manifest.json")
    return sorted(int(path.parent.name.removeprefix("step-")) for path in found)


def outcome(base: Path, run: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((base / "runs" / run / "outcome.json").read_text())
    return document


def causes(base: Path, run: str) -> list[str | None]:
    return [one.cause for one in RunDirectory(open_storage(str(base / "runs")), run).attempts()]


def endless(every: int = 50, **changes: Any) -> dict[str, Any]:
    """Changes to a job that goes on until something happens to it."""
    return {
        "training__duration__steps": 100_000,
        "checkpoint__everySteps": every,
        "evaluation__everySteps": None,
        "evaluation__samples": None,
        "scale": {"workers": 2, "cpusPerWorker": 1},
    } | changes
