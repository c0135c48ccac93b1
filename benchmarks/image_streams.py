"""Shuffled batches of MNIST from prepared shards, beside a bare Parquet reader and the loaders of others.

    python benchmarks/image_streams.py                            # beside pyarrow
    python benchmarks/image_streams.py --peers DIR/bin/python     # and litData, WebDataset, MosaicML Streaming

60,000 images, warm, one process, batches of 128 as tensors. Each reader takes its turn in a process of its own, several times; every one
reads what its own library wrote from the same images. The bare reader reads the same shards by pyarrow, one after the other,
and neither mixes nor checks nor makes tensors.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
from harness import ROOT, environment, spread, write_result

from raygen.data.shards.dataset import PreparedData
from raygen.jobfile import load
from raygen.preparation.executors import InProcess
from raygen.preparation.pipeline import prepare
from raygen.spec import ResolvedJob, resolve

BATCH, TURNS, SEED = 128, 5, 1
PEER = ROOT / "benchmarks" / "peers" / "image_streams.py"
PEERS = ("litdata", "webdataset", "streaming")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", help="a Python that has litdata, webdataset and mosaicml-streaming")
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--out", type=Path, metavar="FILE", help="where the result goes (default: results/)")
    parser.add_argument("--read", choices=("raygen", "pyarrow"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        print(json.dumps(READERS[arguments.read](arguments.folder)))
        return
    with tempfile.TemporaryDirectory() as name:
        write_result("image_streams", measured(Path(name), arguments.peers, arguments.turns), arguments.out)


def measured(folder: Path, peers: str | None, turns: int) -> dict[str, Any]:
    """Images per second of each reader, and by how much raygen is ahead in each turn."""
    began = time.perf_counter()
    prepare(job(folder), ROOT, InProcess())
    document: dict[str, Any] = {
        "seed": SEED,
        "batch": BATCH,
        "prepare_s": round(time.perf_counter() - began, 2),
    }
    commands = {name: [sys.executable, __file__, "--read", name, "--folder", str(folder)] for name in READERS}
    if peers is not None:
        source = ROOT / "examples" / "data" / "mnist" / "train.parquet"
        for name in PEERS:
            target = folder / name
            run([peers, "-P", str(PEER), name, "write", str(target), str(source)])
            commands[name] = [peers, "-P", str(PEER), name, "read", str(target), str(BATCH)]
    rates: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(turns):
        for name in commands if turn % 2 == 0 else reversed(commands):
            found = run(commands[name])
            rates[name].append(found["images_per_s"])
            document.setdefault("versions_of_peers", {}).update(found.get("versions", {}))
            print(f"turn {turn + 1} of {turns}: {name} {found['images_per_s']:,.0f} images/s", flush=True)
    document["images_per_s"] = {name: spread(values) for name, values in rates.items()}
    document["ratio"] = {
        name: spread([own / other for own, other in zip(rates["raygen"], values, strict=True)])
        for name, values in rates.items()
        if name != "raygen"
    }
    return document


def run(command: list[str]) -> dict[str, Any]:
    """What a reader prints."""
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    lines = done.stdout.strip().splitlines()
    found: dict[str, Any] = json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}
    return found


def job(folder: Path) -> ResolvedJob:
    """Example 02, prepared in a folder."""
    sources = [
        f"data.{split}.sources=[{{uri: {ROOT}/examples/data/mnist/{name}.parquet, format: Parquet}}]"
        for split, name in (("train", "train"), ("validation", "test"))
    ]
    loaded = load(
        ROOT / "examples" / "02-vae-mnist.yaml",
        overrides=[f"preparation={{uri: {folder / 'shards'}}}", *sources],
    )
    return resolve(loaded.job)


def raygen_reader(folder: Path) -> dict[str, Any]:
    """Epochs of shuffled batches as tensors."""
    data = PreparedData(job(folder), ROOT)
    began = time.perf_counter()
    first = torch.from_numpy(data.train_batch(range(BATCH)).arrays["images"])
    first_s = time.perf_counter() - began
    total = data.samples_per_epoch

    def epoch(number: int) -> None:
        for start in range(number * total, (number + 1) * total, BATCH):
            batch = data.train_batch(range(start, min(start + BATCH, (number + 1) * total)))
            torch.from_numpy(batch.arrays["images"])

    rate = best(epoch, total)
    data.close()
    return {"images_per_s": rate, "first_batch_s": round(first_s, 3), "batch_shape": list(first.shape)}


def bare_reader(folder: Path) -> dict[str, Any]:
    """The same shards by pyarrow, in order."""
    shards = sorted((folder / "shards" / "train").rglob("*.parquet"))
    total = sum(pq.read_metadata(path).num_rows for path in shards)

    def epoch(_: int) -> None:
        for path in shards:
            table = pq.read_table(path, use_threads=False)
            for batch in table.to_batches(BATCH):
                batch.column("image").buffers()

    return {"images_per_s": best(epoch, total)}


def best(epoch: Callable[[int], None], total: int) -> float:
    """Images per second of the median of three epochs, after one that warms up."""
    epoch(0)
    seconds = []
    for number in range(1, 4):
        began = time.perf_counter()
        epoch(number)
        seconds.append(time.perf_counter() - began)
    return total / statistics.median(seconds)


READERS: dict[str, Callable[[Path], dict[str, Any]]] = {"raygen": raygen_reader, "pyarrow": bare_reader}

if __name__ == "__main__":
    main()
