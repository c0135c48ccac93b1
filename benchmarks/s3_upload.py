"""Bytes per second into an S3 server: raygen's storage beside boto3's `upload_file` at its best setting.

    python benchmarks/s3_upload.py

The server is versitygw over a folder of this machine. boto3's settings are tried first, and the fastest one is
the peer; then both upload the same gibibyte in turns. raygen sends it as its checkpoints come: in chunks,
from memory; boto3 from a file, as its users do. What training waits for an upload is measured last: steps that
save into the same server, beside the whole time of the loop.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import checkpoint_cost
from boto3.s3.transfer import TransferConfig
from harness import JOBS, ROOT, completed, spread, write_result

import raygen
from raygen.storage import open_storage

sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "tests" / "cluster"))
from tests.integration.s3.server import BUCKET, Server, environment, serving

SIZE = 1 << 30
CHUNK = 8 << 20
MUST = {"raygen_to_boto3": 0.8, "share_of_loop_waiting": 0.01}
CONCURRENCY = (4, 8, 16)
PART_MIB = (8, 16, 64)
EVERY = 50


def main() -> None:
    arguments = parse()
    with (
        tempfile.TemporaryDirectory(prefix="s3-upload-") as folder,
        serving(Path(folder) / "server") as server,
    ):
        os.environ.update(environment(server.endpoint))
        file = Path(folder, "checkpoint")
        file.write_bytes(os.urandom(1 << 20) * (arguments.mib))
        settings = {setting: boto3_upload(server, file, *setting) for setting in combinations()}
        best = min(settings, key=settings.__getitem__)
        print(f"boto3 is fastest with {best[0]} threads and parts of {best[1]} MiB", flush=True)
        sides: dict[str, Callable[[], float]] = {
            "raygen": lambda: raygen_upload(server, file),
            "boto3": lambda: boto3_upload(server, file, *best),
        }
        seconds = in_turns(sides, arguments.pairs)
        waiting = [share_waiting(arguments.steps) for _ in range(3)]
    ratios = [ours / theirs for ours, theirs in zip(seconds["boto3"], seconds["raygen"], strict=True)]
    document = {
        "bytes": arguments.mib << 20,
        "boto3_settings": [
            {"threads": threads, "part_mib": part, "seconds": round(taken, 4)}
            for (threads, part), taken in settings.items()
        ],
        "boto3_best": {"threads": best[0], "part_mib": best[1]},
        "seconds": {side: spread(values) for side, values in seconds.items()},
        "raygen_to_boto3": spread(ratios),
        "share_of_loop_waiting": spread(waiting),
        "must": MUST,
    }
    write_result("s3_upload", document, arguments.out)
    print(f"raygen / boto3: {statistics.median(ratios):.3f}, must be at least {MUST['raygen_to_boto3']}")
    print(f"waiting: {statistics.median(waiting):.3%} of the loop")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--mib", type=int, default=SIZE >> 20)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--out", type=Path, help="where to write the result (default: results/)")
    return parser.parse_args()


def combinations() -> Iterator[tuple[int, int]]:
    return ((threads, part) for threads in CONCURRENCY for part in PART_MIB)


def in_turns(sides: dict[str, Callable[[], float]], pairs: int) -> dict[str, list[float]]:
    """Seconds of each side; who begins a pair alternates."""
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(pairs):
        for side in (*sides,) if number % 2 else (*reversed(sides),):
            seconds[side].append(sides[side]())
        print(number + 1, {side: round(values[-1], 3) for side, values in seconds.items()}, flush=True)
    return seconds


def raygen_upload(server: Server, file: Path) -> float:
    """From memory, where a snapshot is, in chunks."""
    content = memoryview(file.read_bytes())
    storage = open_storage(f"s3://{BUCKET}/raygen")
    with emptied(server):
        began = time.perf_counter()
        storage.stream("checkpoint", (content[at : at + CHUNK] for at in range(0, len(content), CHUNK)))
        return time.perf_counter() - began


def boto3_upload(server: Server, file: Path, threads: int, part_mib: int) -> float:
    client = boto3.client("s3", region_name="us-east-1")
    part = part_mib << 20
    config = TransferConfig(max_concurrency=threads, multipart_chunksize=part, multipart_threshold=part)
    with emptied(server):
        began = time.perf_counter()
        client.upload_file(str(file), BUCKET, "boto3/checkpoint", Config=config)
        return time.perf_counter() - began


@contextmanager
def emptied(server: Server) -> Iterator[None]:
    """Begins with no object there, and what was written before on its way to the device."""
    for path in (server.folder / BUCKET).rglob("checkpoint"):
        path.unlink()
    os.sync()
    yield


def share_waiting(steps: int) -> float:
    """Share of the loop's time inside the call that saves, with a checkpoint on S3 every 50 steps."""
    times = checkpoint_cost.Times()
    changes = [f"training.duration.steps={steps}", "evaluation.metrics=[]", f"checkpoint.everySteps={EVERY}"]
    job = raygen.load(JOBS / "nanogpt-recipe.yaml", overrides=changes).job
    options: dict[str, Any] = {"base": JOBS, "run": f"run-{time.time_ns()}", "device": "cpu"}
    with checkpoint_cost.timed(times):
        completed(raygen.train(job, output=f"s3://{BUCKET}/waiting", **options))
    return sum(times.calls) / times.loop


if __name__ == "__main__":
    main()
