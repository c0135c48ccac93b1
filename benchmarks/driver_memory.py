"""Peak memory of the driver of a job with two Ray workers, by the size of the data set.

python benchmarks/driver_memory.py

The data are images in an IDX file, each worker's in its own memory. A driver that only drives needs the same for any size.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from harness import write_result

LIMIT_MB = 400
SIDE = 28
POLL_S = 0.02
DEADLINE_S = 900.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, nargs="+", default=[10, 1000])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    sizes = {}
    for megabytes in options.megabytes:
        with tempfile.TemporaryDirectory() as folder:
            sizes[str(megabytes)] = measured(Path(folder), megabytes)
            print(megabytes, sizes[str(megabytes)], flush=True)
    most = sizes[str(max(options.megabytes))]["driver"]
    must = {"largest_data": {"at_most": LIMIT_MB, "holds": most <= LIMIT_MB}}
    write_result("driver_memory", {"unit": "MB", "must": must, "by_megabytes_of_data": sizes}, options.out)


def measured(folder: Path, megabytes: int) -> dict[str, Any]:
    """The driver's peak of resident memory, and that of the largest of its children, in MB."""
    write_images(folder / "images.idx", megabytes * 10**6 // SIDE**2)
    (folder / "job.yaml").write_text(json.dumps(job()))
    command = [sys.executable, "-m", "raygen", "train", "job.yaml", "--json", "--output", "runs"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    driver, driver_peak, largest = psutil.Process(process.pid), 0, 0
    began = time.monotonic()
    while process.poll() is None:
        if time.monotonic() - began > DEADLINE_S:
            process.kill()
        largest = max([largest, *(peak_of(child) for child in children_of(driver))])
        driver_peak = max(driver_peak, peak_of(driver))
        time.sleep(POLL_S)
    out, err = process.communicate()
    if process.returncode:
        raise SystemExit(err)
    result = json.loads(out)
    return {
        "driver": driver_peak / 10**6,
        "largest_child": largest / 10**6,
        "state": result["state"],
        "step": result["step"],
    }


def peak_of(process: psutil.Process) -> int:
    """Peak of resident memory so far, in bytes; 0 for a process that is gone."""
    try:
        text = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return 0
    line = next((line for line in text.splitlines() if line.startswith("VmHWM:")), "VmHWM: 0 kB")
    return int(line.split()[1]) * 1024


def children_of(process: psutil.Process) -> list[psutil.Process]:
    try:
        found: list[psutil.Process] = process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return found


def write_images(path: Path, count: int) -> None:
    """An IDX file (LeCun, MNIST) of this many grey images with a slope each."""
    header = bytes([0, 0, 8, 3]) + b"".join(n.to_bytes(4, "big") for n in (count, SIDE, SIDE))
    images = [bytes((number + place) % 256 for place in range(SIDE**2)) for number in range(256)]
    block = b"".join(images)
    with path.open("wb") as file:
        file.write(header)
        for _ in range(count // 256):
            file.write(block)
        file.write(b"".join(images[: count % 256]))


def job() -> dict[str, Any]:
    return {
        "apiVersion": "raygen.io/v1alpha1",
        "kind": "TrainingJob",
        "metadata": {"name": "driver-memory"},
        "spec": {
            "model": {
                "type": "VAE",
                "vae": {"network": "MLP", "hiddenSizes": [64], "latentSize": 8, "likelihood": "Bernoulli"},
            },
            "data": {"train": {"sources": [{"uri": "images.idx", "format": "Idx"}]}},
            "training": {
                "duration": {"steps": 50},
                "globalBatchSize": 64,
                "optimizer": {"type": "Adam", "learningRate": 1e-3},
                "seed": 1,
            },
            "scale": {"workers": 2, "cpusPerWorker": 1},
        },
    }


if __name__ == "__main__":
    main()
