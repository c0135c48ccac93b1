"""Runs `raygen` in processes of its own, and reads what a run leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from raygen.run.directory import RunDirectory
from raygen.storage import open_storage

LONGEST_S = 250.0


@contextmanager
def started(verb: str, document: dict[str, Any], base: Path, cache: str, *options: str) -> Iterator[Any]:
    """A process of raygen's with a folder of its own for compiled code; killed on leaving, if it still runs."""
    job = base / f"{document['metadata']['name']}.json"
    job.write_text(json.dumps(document))
    command = [sys.executable, "-m", "raygen", verb, str(job), *options]
    environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(base / cache)}
    environment["TRITON_CACHE_DIR"] = str(base / cache / "triton")
    with subprocess.Popen(
        command, cwd=base, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def finish(process: Any) -> tuple[int, str, str]:
    """Exit code, output and errors of a process."""
    output, errors = process.communicate(timeout=LONGEST_S)
    return process.returncode, output, errors


def newest(run: Path) -> int:
    """Step of the newest complete checkpoint, 0 if there is none."""
    found = run.glob("checkpoints/step-*/manifest.json")
    return max((int(path.parent.name.removeprefix("step-")) for path in found), default=0)


def wait_for_step(process: Any, run: Path, step: int) -> None:
    """Waits for a checkpoint of this step or a later one."""
    deadline = time.monotonic() + LONGEST_S
    while newest(run) < step and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)


def losses(run: Path) -> dict[int, list[float]]:
    """The losses that attempts have logged, by step."""
    found: dict[int, list[float]] = {}
    for line in RunDirectory(open_storage(str(run.parent)), run.name).read_metrics().lines:
        if line.kind == "train":
            found.setdefault(line.step, []).append(line.values["loss"])
    return found


def files(run: Path, step: int) -> Counter[tuple[int, str]]:
    """Size and digest of every file of a checkpoint."""
    manifest = json.loads((run / "checkpoints" / f"step-{step:08}" / "manifest.json").read_text())
    return Counter((record["size"], record["sha256"]) for record in manifest["files"].values())
