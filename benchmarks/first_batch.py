"""How long the first batch of prepared data takes from the moment at which the data is opened.

    python benchmarks/first_batch.py

Some pictures are drawn and prepared as PNG. Then, in turns, a new process opens them and asks for a batch: once with
threads of its own that read, once with Ray Data, on a Ray that has just started and has none of the processes that read yet.
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

from harness import ROOT, environment, spread, write_result
from picture_streams import draw_pictures

from raygen.data.shards.dataset import PreparedData
from raygen.data.shards.pieces import OpenPieces
from raygen.jobfile import dumps, load
from raygen.pipelines.reading import Workers, pipelined
from raygen.preparation.executors import InProcess
from raygen.preparation.pipeline import prepare
from raygen.spec import resolve
from raygen.training.observers.startup import Startup
from raygen.training.ray.cluster import started_ray

FILES, BATCH, PROCESSES = 14_000, 128, 2
MUST = {"InProcess": 0.5, "RayData": 6.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--out", type=Path, metavar="FILE", help="where the result goes (default: results/)")
    parser.add_argument("--read", nargs=2, metavar=("HOW", "JOB"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        print(json.dumps(read(arguments.read[0], Path(arguments.read[1]))))
        return
    with tempfile.TemporaryDirectory(prefix="first-batch-") as name:
        seconds = measured(write_data(Path(name)), arguments.turns)
    document = {"files": FILES, "batch": BATCH, "processes": PROCESSES, "must": MUST}
    document["first_batch_s"] = {how: spread(values) for how, values in seconds.items()}
    write_result("first_batch", document, arguments.out)


def write_data(folder: Path) -> Path:
    """Draws and prepares pictures; the job that reads them."""
    draw_pictures(folder / "pictures", FILES)
    changes = [
        f'data.train.sources=[{{"uri": "{folder / "pictures"}", "format": "ImageFolder"}}]',
        'data.validation={"fraction": 0.01}',
        "data.images={size: 64, mode: RGB}",
        "data.cleaning=null",
        f'preparation={{"uri": "{folder / "prepared"}", "encoding": PNG}}',
    ]
    job = load(ROOT / "examples" / "06-images-from-tar.yaml", overrides=changes).job
    (folder / "job.yaml").write_text(dumps(job))
    prepare(resolve(job), folder, InProcess())
    return folder / "job.yaml"


def measured(job: Path, turns: int) -> dict[str, list[float]]:
    """Seconds until the first batch, of each way to read."""
    seconds: dict[str, list[float]] = {how: [] for how in MUST}
    for turn in range(turns):
        for how in MUST if turn % 2 == 0 else reversed(MUST):
            command = [sys.executable, __file__, "--read", how, str(job)]
            done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
            seconds[how].append(json.loads(done.stdout.splitlines()[-1])["seconds"])
            print(f"turn {turn + 1} of {turns}: {how} {seconds[how][-1]:.2f} s", flush=True)
    return seconds


def read(how: str, path: Path) -> dict[str, Any]:
    """Opens the data and takes a batch."""
    if how == "InProcess":
        return {"seconds": first_batch(path, None)}
    with started_ray(PROCESSES, PROCESSES, Startup(), lambda _: None):
        # What a run's own start leaves to do has ended by the time at which its workers open data.
        time.sleep(5)
        return {"seconds": first_batch(path, pipelined(Workers(PROCESSES, {"num_cpus": 1})))}


def first_batch(path: Path, open_pieces: OpenPieces | None) -> float:
    """Seconds that it takes; as in a run, Ray Data knows where training begins."""
    job = resolve(load(path).job)
    began = time.perf_counter()
    options: dict[str, Any] = {} if open_pieces is None else {"open_pieces": open_pieces, "first": 0}
    data = PreparedData(job, path.parent, **options)
    data.train_batch(range(BATCH))
    seconds = time.perf_counter() - began
    data.close()
    return seconds


if __name__ == "__main__":
    main()
