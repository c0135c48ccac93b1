#!/usr/bin/env bash
# W&B throws away what is logged at a step below the newest one.
#
# A run that resumes from a checkpoint, or is rolled back, measures steps again that it has logged before. log(step=...) only warns, exits
# with success, and keeps the numbers of the attempt that was undone.
# Versions: wandb 0.31.0, offline.
# Source: Run.log documents that steps must increase; that values are dropped shows as a warning alone.
# raygen: logs its own `step` as a metric and makes it the axis (define_metric), so nothing is lost (raygen/train/trackers.py).
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages wandb==0.31.0
look <<'PY'
import json
import os
from pathlib import Path

os.environ.update(WANDB_MODE="offline", WANDB_SILENT="true")
import wandb
from verdict import verdict



def newest(own_axis):
    """The loss that the files of an offline run end with, of an attempt that went back to step 5."""
    run = wandb.init(project="losses", settings=wandb.Settings(console="off"))
    if own_axis:
        run.define_metric("step")
        run.define_metric("*", step_metric="step")
    for step, loss in [(10, 3.0), (5, 2.0)]:
        if own_axis:
            run.log({"loss": loss, "step": step})
        else:
            run.log({"loss": loss}, step=step)
    folder = Path(run.dir)
    run.finish()
    return json.loads((folder / "wandb-summary.json").read_text())["loss"]


kept, own_axis = newest(own_axis=False), newest(own_axis=True)
verdict(
    expected="the newest loss, 2.0",
    seen=f"{kept}; with an axis of one's own {own_axis}",
    holds=kept == 3.0 and own_axis == 2.0,
)
PY
