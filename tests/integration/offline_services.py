"""Run by test_trackers_offline.py in the services' own environment: drives a tracker, prints what came of it."""

from __future__ import annotations

import json
import struct
import sys
import zlib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from raygen.errors import InputError
from raygen.training.observers.trackers import Guarded, MLflowTracker, Status, Tracker, WandbTracker

ATTEMPTS: tuple[tuple[int, Status], ...] = ((1, "Stopped"), (2, "Succeeded"))
LOG_BLOCK, LOG_FULL, LOG_LAST = 32768, 1, 4
TEXT = "ROMEO:<script>\nBut soft"


def picture() -> bytes:
    head = struct.pack(">IIBBBBB", 2, 2, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress((b"\0" + bytes(6)) * 2)), (b"IEND", b""))
    chunks = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def drive(tracker: Tracker, first: int, status: Status) -> None:
    for step in range(first, first + 3):
        tracker.log(step, {"train/loss": 2.0 ** (1 - step)})
    tracker.text(first, "sample/0", TEXT)
    tracker.image(first, "sample/1", picture())
    tracker.close(status)


def wandb() -> dict[str, Any]:
    for first, status in ATTEMPTS:
        config = {"model": {"layers": 4}, "steps": first}
        drive(WandbTracker("project", "abc123", "shakespeare", config, Path("files")), first, status)
    # Its service writes the files, and is done with them only when it has ended.
    import_module("wandb").teardown()
    folders = sorted(Path("files/wandb").glob("offline-run-*"))
    return {
        "attempts": [read_wandb(next(folder.glob("run-*.wandb"))) for folder in folders],
        "texts": [path.read_text() for folder in folders for path in folder.rglob("*.html")],
        "pictures_are_equal": [
            path.read_bytes() == picture() for folder in folders for path in folder.rglob("*.png")
        ],
    }


def log_records(data: bytes) -> Iterator[bytes]:
    """The records of a file in LevelDB's log format, which has 7 bytes of W&B's own before its first record."""
    place, record = 7, b""
    while place + 7 <= len(data):
        if LOG_BLOCK - place % LOG_BLOCK < 7:
            place += LOG_BLOCK - place % LOG_BLOCK
            continue
        length, kind = struct.unpack_from("<HB", data, place + 4)
        record += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (LOG_FULL, LOG_LAST):
            yield record
            record = b""


def read_wandb(path: Path) -> dict[str, Any]:
    from wandb.proto.wandb_internal_pb2 import Record

    found: dict[str, Any] = {"history": [], "preempting": False}
    for data in log_records(path.read_bytes()):
        record = Record()
        record.ParseFromString(data)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            found["id"] = record.run.run_id
        elif kind == "history":
            row = {
                item.key or ".".join(item.nested_key): json.loads(item.value_json)
                for item in record.history.item
            }
            found["history"].append(row)
        elif kind == "preempting":
            found["preempting"] = True
        elif kind == "exit":
            found["exit"] = record.exit.exit_code
    return found


def mlflow() -> dict[str, Any]:
    from mlflow import MlflowClient, artifacts

    client, statuses = MlflowClient(), []
    for first, status in ATTEMPTS:
        config = {"model": {"layers": 4}, "steps": first}
        drive(MLflowTracker("experiment", "abc123", "shakespeare", config), first, status)
        experiment = client.get_experiment_by_name("experiment")
        assert experiment is not None
        runs = client.search_runs([experiment.experiment_id])
        statuses.append(runs[0].info.status)
    described = []
    for run in runs:
        folder = Path(artifacts.download_artifacts(run_id=run.info.run_id, dst_path="downloaded"))
        history = client.get_metric_history(run.info.run_id, "train/loss")
        described.append(
            {
                "status": run.info.status,
                "name": run.info.run_name,
                "params": run.data.params,
                "loss": sorted(
                    ({"step": m.step, "value": m.value} for m in history), key=lambda m: m["step"]
                ),
                "texts": [path.read_text() for path in folder.rglob("*.txt")],
                "pictures_are_equal": [path.read_bytes() == picture() for path in folder.rglob("*.png")],
            }
        )
    return {"status_after_first": statuses[0], "runs": described}


def wandb_without_credentials() -> dict[str, Any]:
    try:
        WandbTracker("project", "abc123", "shakespeare", {}, Path("files"))
    except InputError as error:
        return {"error": str(error)}
    return {"error": None}


def mlflow_guarded() -> dict[str, Any]:
    notices: list[str] = []
    guarded = Guarded(
        "MLflow", lambda: MLflowTracker("e", "abc123", "n", {}), notices.append, patience={"Succeeded": 120}
    )
    drive(guarded, 1, "Succeeded")
    return {"notices": notices}


if __name__ == "__main__":
    scenes = {
        "wandb": wandb,
        "mlflow": mlflow,
        "wandb-no-credentials": wandb_without_credentials,
        "mlflow-guarded": mlflow_guarded,
    }
    sys.stdout.write(json.dumps(scenes[sys.argv[1]]()))
