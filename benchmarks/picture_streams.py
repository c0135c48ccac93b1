"""Shuffled batches of 50,000 small photographs from an S3 server, beside the loaders of others.

    python benchmarks/picture_streams.py                            # raygen alone
    python benchmarks/picture_streams.py --peers DIR/bin/python     # and litData and WebDataset

A folder of JPEG files of 64 x 64 is drawn, ten classes of it. Each one writes it in its own way, raygen by `prepare`, and what it
wrote is put on the server, versitygw over a folder of this machine. Then each reader takes its turn in a process of its own, with nothing in
a cache, on the same two cores: one epoch of batches of 128 as tensors, from the first request on. The others decode JPEG, in
the process and in two workers; raygen decoded it when it prepared, and reads pixels.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from harness import ROOT, environment, spread, write_result
from PIL import Image, ImageDraw

from raygen.data.shards.dataset import PreparedData
from raygen.jobfile import dumps, load
from raygen.preparation.executors import InProcess
from raygen.preparation.pipeline import prepare
from raygen.spec import resolve

sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "tests" / "cluster"))
from tests.integration.s3 import server as s3

SEED, BATCH, SIDE, CLASSES = 1, 128, 64, 10
PEER = ROOT / "benchmarks" / "peers" / "picture_streams.py"
PEERS = ("litdata", "webdataset")
MUST = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", help="a Python that has litdata, webdataset and torchvision")
    parser.add_argument("--files", type=int, default=50_000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--out", type=Path, metavar="FILE", help="where the result goes (default: results/)")
    parser.add_argument("--read", type=Path, metavar="JOB", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        print(json.dumps(read(arguments.read)))
        return
    with tempfile.TemporaryDirectory(prefix="picture-streams-") as name:
        folder = Path(name)
        draw_pictures(folder / "pictures", arguments.files)
        with s3.serving(folder / "server") as server:
            os.environ.update(s3.environment(server.endpoint))
            document = measured(folder, server.folder / s3.BUCKET, arguments.peers, arguments.turns)
    write_result(
        "picture_streams", {"seed": SEED, "files": arguments.files, "batch": BATCH, **document}, arguments.out
    )


def draw_pictures(folder: Path, count: int) -> None:
    """Files in a folder for each class: coloured shapes on a gradient."""
    draw = random.Random(SEED)
    for number in range(CLASSES):
        (folder / str(number)).mkdir(parents=True)
    for number in range(count):
        ends = [tuple(draw.randrange(256) for _ in range(3)) for _ in range(2)]
        image = Image.new("RGB", (1, 2))
        image.putdata(ends)
        image = image.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        pen = ImageDraw.Draw(image)
        for _ in range(6):
            corner, size = [draw.randrange(SIDE) for _ in range(2)], draw.randrange(4, 30)
            colour = tuple(draw.randrange(256) for _ in range(3))
            pen.ellipse([*corner, corner[0] + size, corner[1] + size], fill=colour)
        image.save(folder / str(number % CLASSES) / f"{number:06}.jpg", quality=90)


def measured(folder: Path, place: Path, peers: str | None, turns: int) -> dict[str, Any]:
    """Images per second of each reader, by how much raygen is ahead in each turn, and what it took to write."""
    written = {"raygen": prepare_pictures(folder, place / "raygen")}
    commands = {"raygen": [sys.executable, __file__, "--read", str(folder / "job.yaml")]}
    if peers is not None:
        for name in PEERS:
            began = time.perf_counter()
            run([peers, "-P", str(PEER), name, "write", str(folder / name), str(folder / "pictures")])
            written[name] = {
                "seconds": round(time.perf_counter() - began, 1),
                "bytes": size_of(folder / name),
            }
            shutil.copytree(folder / name, place / name)
            shutil.rmtree(folder / name)
            for workers in (0, 2):
                commands[f"{name}, {workers} workers" if workers else name] = [
                    *(peers, "-P", str(PEER), name, "read", f"{s3.BUCKET}/{name}", str(BATCH), str(workers))
                ]
    rates: dict[str, list[float]] = {name: [] for name in commands}
    versions: dict[str, str] = {}
    for turn in range(turns):
        for name in commands if turn % 2 == 0 else reversed(commands):
            with tempfile.TemporaryDirectory(dir=folder) as cache:
                found = run(commands[name], cache)
            rates[name].append(found["images"] / found["seconds"])
            versions |= found.get("versions", {})
            print(f"turn {turn + 1} of {turns}: {name} {rates[name][-1]:,.0f} images/s", flush=True)
    return {
        "written": written,
        "versions_of_peers": versions,
        "images_per_s": {name: spread(values) for name, values in rates.items()},
        "ratio": {
            name: spread([own / other for own, other in zip(rates["raygen"], values, strict=True)])
            for name, values in rates.items()
            if name != "raygen"
        },
        "must": MUST,
    }


def prepare_pictures(folder: Path, place: Path) -> dict[str, Any]:
    """Prepares them by two processes, and writes the job that reads them from the server."""
    changes = [
        f'data.train.sources=[{{"uri": "{folder / "pictures"}", "format": "ImageFolder"}}]',
        'data.validation={"fraction": 0.001}',
        f"data.images={{size: {SIDE}, mode: RGB}}",
        "data.cleaning=null",
    ]
    example = ROOT / "examples" / "06-images-from-tar.yaml"
    for uri, name in ((str(place), "here.yaml"), (f"s3://{s3.BUCKET}/raygen", "job.yaml")):
        loaded = load(example, overrides=[*changes, f'preparation={{"uri": "{uri}"}}'])
        (folder / name).write_text(dumps(loaded.job))
    began = time.perf_counter()
    prepare(resolve(load(folder / "here.yaml").job), folder, InProcess())
    return {"seconds": round(time.perf_counter() - began, 1), "bytes": size_of(place)}


def size_of(folder: Path) -> int:
    """Bytes of all files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def run(command: list[str], cache: str = os.devnull) -> dict[str, Any]:
    """What a reader prints; whatever it caches goes to a folder."""
    own = environment() | {"RAYGEN_CACHE_DIR": cache, "PEERS_CACHE_DIR": cache}
    done = subprocess.run(command, env=own, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    lines = done.stdout.strip().splitlines()
    found: dict[str, Any] = json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}
    return found


def read(path: Path) -> dict[str, Any]:
    """One epoch of batches as tensors."""
    began = time.perf_counter()
    data = PreparedData(resolve(load(path).job), path.parent)
    images = 0
    for start in range(0, data.samples_per_epoch, BATCH):
        batch = data.train_batch(range(start, min(start + BATCH, data.samples_per_epoch)))
        images += len(torch.from_numpy(batch.arrays["images"]))
    seconds = time.perf_counter() - began
    data.close()
    return {"images": images, "seconds": seconds}


if __name__ == "__main__":
    main()
