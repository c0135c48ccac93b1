"""Prepared data that Ray Data reads ahead: the same batches, errors and losses as without it, to the last bit."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from raygen.data.shards.dataset import PreparedData
from raygen.data.shards.pieces import OpenPieces
from raygen.errors import DataError
from raygen.pipelines import reading
from raygen.pipelines.reading import Workers, pipelined
from raygen.spec import ResolvedJob
from raygen.spec.names import READING_RESOURCE
from raygen.training.observers.startup import Startup
from raygen.training.ray.cluster import started_ray
from tests.jobs import write_images
from tests.prepared import documents, image_job, prepared, text_job, write_lines

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).resolve().parents[2]
SIZE = 24
PREPARATION = {"shardMegabytes": 1, "shardsPerWindow": 2}


def jobs() -> dict[str, ResolvedJob]:
    sources = [{"uri": f"{number}.jsonl", "format": "JsonLines"} for number in range(2)]
    mixed = {"sources": sources, "mixture": {"weights": [2, 1]}}
    mixed["weightChanges"] = [{"fromSample": 60, "weights": [1, 3]}]
    images = {"uri": "pictures", "encoding": "PNG"} | PREPARATION
    return {
        "text": text_job(
            data__train={"sources": sources},
            data__packing="Documents",
            preparation={"uri": "text"} | PREPARATION,
        ),
        "mixture": text_job(data__train=mixed, preparation={"uri": "mixture"} | PREPARATION),
        "images": image_job(data__images={"horizontalFlip": True}, preparation=images),
    }


def write_data(base: Path) -> None:
    for number in range(2):
        write_lines(base / f"{number}.jsonl", documents(400, seed=number, words=120) * (8 + 8 * number))
    write_images(base / "images.parquet", count=500, size=64)
    for job in jobs().values():
        prepared(job, base)


def compare(base: Path) -> None:
    """What both readers give, in a process that has Ray, which pytest cannot have; prints what was compared."""
    # So that some windows are an execution, and the next one follows soon.
    reading.SHARDS_AT_ONCE = 4
    found: dict[str, Any] = {"batches": {}}
    # As in pods that are there to read: tasks book one of these each, and no core.
    os.environ["RAY_OVERRIDE_RESOURCES"] = json.dumps({READING_RESOURCE: 2})
    with started_ray(2, 2, Startup(), print):
        by_ray = pipelined(Workers(2, {"num_cpus": 1}))
        on_own = pipelined(Workers(2, {"num_cpus": 0, "resources": {READING_RESOURCE: 1}}))
        for name, job in jobs().items():
            over = threading.Event()
            with ThreadPoolExecutor(1) as threads:
                killed = threads.submit(kill_one_that_reads, over) if name == "text" else None
                try:
                    found["batches"][name] = equal_batches(job, base, on_own if name == "images" else by_ray)
                finally:
                    over.set()
            if killed is not None:
                found["killed"] = killed.result()
        found["left"] = left_by_one_that_waits(jobs()["images"], base)
        damaged = jobs()["text"]
        shard = next((base / "text" / "train").rglob("*.parquet"))
        shard.write_bytes(shard.read_bytes()[:-1])
        found["errors"] = [
            first_error(damaged, base, {}),
            first_error(damaged, base, {"open_pieces": by_ray}),
        ]
    Path(base, "found.json").write_text(json.dumps(found))


def kill_one_that_reads(over: threading.Event) -> int:
    """Kills one of Ray's processes in the middle of a shard; its number, 0 if none was found until it is over."""
    while not over.is_set():
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                if not reads(process):
                    continue
                process.suspend()
                # It may have ended its task in between.
                if reads(process):
                    process.send_signal(signal.SIGKILL)
                    return process.pid
                process.resume()
        over.wait(0.001)
    return 0


def reads(process: psutil.Process) -> bool:
    """Whether a process of Ray's is in the middle of a task of the pipeline, by its title."""
    return any("MapBatches" in word for word in process.cmdline())


def equal_batches(job: ResolvedJob, base: Path, by_ray: OpenPieces) -> int:
    """How many batches of both readers were compared; they are equal."""
    count = 0
    with (
        closing(PreparedData(job, base)) as own,
        closing(PreparedData(job, base, open_pieces=by_ray)) as theirs,
    ):
        epoch = own.samples_per_epoch
        # From the start, across the end of an epoch, far ahead, and back again.
        for start in (0, epoch - 3 * SIZE, 7 * epoch + 5, SIZE):
            for first in range(start, start + 6 * SIZE, SIZE):
                positions = range(first, first + SIZE)
                one, other = own.train_batch(positions), theirs.train_batch(positions)
                assert one.arrays.keys() == other.arrays.keys()
                for key, array in one.arrays.items():
                    assert array.dtype == other.arrays[key].dtype
                    assert np.array_equal(array, other.arrays[key])
                count += 1
        # Whole epochs, a batch of each window and more.
        for first in range(0, 3 * epoch, max(epoch // 16, 1)):
            one, other = own.train_batch(range(first, first + 4)), theirs.train_batch(range(first, first + 4))
            assert all(np.array_equal(array, other.arrays[key]) for key, array in one.arrays.items())
            count += 1
    return count


def left_by_one_that_waits(job: ResolvedJob, base: Path) -> list[str]:
    """Threads of a pipeline that are left after one was closed whose tasks never begin: what they book is nowhere."""
    before = set(threading.enumerate())

    def left(*names: str) -> list[str]:
        return [one.name for one in set(threading.enumerate()) - before if one.name.startswith(names)]

    nowhere = Workers(1, {"num_cpus": 0, "resources": {"nowhere": 1}})
    with closing(PreparedData(job, base, open_pieces=pipelined(nowhere))) as data:
        # The first window is read by this process; the pipeline that it starts is to send the next.
        data.train_batch(range(SIZE))
        deadline = time.monotonic() + 60
        while not left("StreamingExecutor"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    return left("ray-data", "StreamingExecutor")


def first_error(job: ResolvedJob, base: Path, options: Any) -> list[str]:
    """The error of a reader that meets a damaged shard."""
    with closing(PreparedData(job, base, **options)) as data, pytest.raises(DataError) as caught:
        data.train_batch(range(data.samples_per_epoch))
    return [caught.value.what, caught.value.where, caught.value.remedy]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_data(folder)
    return folder


@pytest.fixture(scope="module")
def found(base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("compared") / "data"
    shutil.copytree(base, folder)
    script = f"from pathlib import Path\nfrom {__name__} import compare\ncompare(Path({str(folder)!r}))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    compared: dict[str, Any] = json.loads((folder / "found.json").read_text())
    return compared


def test_batches_are_the_same_from_any_position_and_across_epochs(found: dict[str, Any]) -> None:
    assert sorted(found["batches"]) == ["images", "mixture", "text"]
    assert min(found["batches"].values()) > 60


def test_a_process_that_is_killed_while_it_reads_changes_no_batch(found: dict[str, Any]) -> None:
    """Of text: all its batches were compared."""
    assert found["killed"] > 0


def test_what_waits_for_resources_for_ever_ends_when_it_is_closed(found: dict[str, Any]) -> None:
    assert found["left"] == []


def test_a_shard_that_was_changed_is_the_same_error(found: dict[str, Any]) -> None:
    alone, by_ray = found["errors"]
    assert by_ray == alone
    assert "was changed since it was indexed" in alone[0]
