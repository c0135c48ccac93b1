#!/usr/bin/env bash
# W&B throws away what is logged at a step below the newest one.
#
# A run that resumes from a checkpoint, or is rolled back, measures steps again that it has logged before.
# log(step=...) only warns, exits with success, and keeps the numbers of the attempt that was undone.
# Versions: wandb 0.31.0, offline.
# Source: Run.log documents that steps must increase; that values are dropped shows as a warning alone.
# raygen: logs its own `step` as a metric and makes it the axis (define_metric), so nothing is lost
# (raygen/training/observers/trackers.py).
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages wandb==0.31.0
look <<'PY'
import os
import struct
from pathlib import Path

os.environ.update(WANDB_MODE="offline", WANDB_SILENT="true")
import wandb
from verdict import verdict
from wandb.proto.wandb_internal_pb2 import Record



def records(file):
    """The records of an offline run's file: after 7 bytes each has a checksum, a length and a kind (1: whole)."""
    content, place = file.read_bytes(), 7
    while place + 7 <= len(content):
        length, kind = struct.unpack_from("<HB", content, place + 4)
        assert kind == 1
        record = Record()
        record.ParseFromString(content[place + 7 : place + 7 + length])
        yield record
        place += 7 + length


def losses(own_axis):
    """What the file of a run holds that went back from step 10 to step 5."""
    run = wandb.init(project="losses", settings=wandb.Settings(console="off"))
    if own_axis:
        run.define_metric("step")
        run.define_metric("*", step_metric="step")
    for step, loss in [(10, 3), (5, 2)]:
        if own_axis:
            run.log({"loss": loss, "step": step})
        else:
            run.log({"loss": loss}, step=step)
    folder = Path(run.dir).parent
    run.finish()
    items = [item for record in records(next(folder.glob("*.wandb"))) for item in record.history.item]
    return [int(item.value_json) for item in items if "loss" in (item.key, *item.nested_key)]


kept, own_axis = losses(own_axis=False), losses(own_axis=True)
verdict(
    expected="the losses 3 and 2",
    seen=f"{kept}; with an axis of one's own {own_axis}",
    holds=kept == [3] and own_axis == [3, 2],
)
PY
