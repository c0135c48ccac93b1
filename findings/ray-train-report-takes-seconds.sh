#!/usr/bin/env bash
# ray.train.report takes two seconds a call once three calls have been made.
#
# A worker's results wait in a queue that holds one, which the controller empties once in
# RAY_TRAIN_HEALTH_CHECK_INTERVAL_S, 2 by default: the name says nothing of it. A loop that reports each step
# makes half a step a second. And what was reported without a checkpoint is lost: Result.metrics is None.
# Versions: ray 2.60.0.
# Source: ray-project/ray#56718; ray/train/v2/_internal/constants.py.
# raygen: workers tell the driver through a store of its own and never call report (docs/decisions.md, 2026-11-24,
# "Workers agree through a store").
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages 'ray[train]==2.60.0' pyarrow==25.0.1 pandas==3.1.1 numpy==2.4.6
look <<'PY'
import os
import time

os.environ["RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"] = "300"
import ray
import ray.train
from local_ray import start
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer
from verdict import verdict

REPORTS = 8


def loop(config):
    began = time.monotonic()
    for step in range(REPORTS):
        ray.train.report({"loss": 1.0 / (step + 1)})
    with open(config["file"], "w") as file:
        file.write(str(time.monotonic() - began))


start(2)
file = os.path.abspath("seconds")
run = ray.train.RunConfig(storage_path=os.path.abspath("storage"), name="reports")
trainer = DataParallelTrainer(
    loop, train_loop_config={"file": file}, scaling_config=ray.train.ScalingConfig(num_workers=1), run_config=run
)
result = trainer.fit()
ray.shutdown()
with open(file) as written:
    seconds = float(written.read())
verdict(
    expected=f"{REPORTS} reports of one number in milliseconds, and the last of them as the result's metrics",
    seen=f"{seconds:.1f} s, result's metrics {result.metrics}",
    holds=seconds > REPORTS / 2 and result.metrics is None,
)
PY
