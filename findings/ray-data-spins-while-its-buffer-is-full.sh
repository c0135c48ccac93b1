#!/usr/bin/env bash
# A consumer of Ray Data that takes its time has a core burnt beside it, with Python's lock.
#
# Once a pipeline has read ahead all that it may (here by `resource_limits`; object store memory has a limit anyway), the loop
# of its executor goes round without a pause until something is taken, in a thread of the process that consumes. While that process
# sleeps for 6 s, it uses seconds of CPU time; a training loop beside it gets Python's lock half of the time.
# Versions: ray 2.60.0, pyarrow 25.0.1, numpy 2.4.6.
# Source: not documented; `ray.wait` in `process_completed_tasks` waits for tasks alone, of which there are none then.
# raygen: a callback rests while no task runs (raygen/pipelines/reading.py).
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages 'ray[data]==2.60.0' pyarrow==25.0.1 pandas==3.1.1 numpy==2.4.6
look <<'PY'
import time

import numpy as np
import ray
from local_ray import start
from verdict import verdict

SECONDS = 6.0


def megabytes(batch):
    return {"bytes": [np.random.default_rng(0).bytes(4 << 20)] * len(batch["id"])}


start(2)
settings = ray.data.DataContext.get_current()
settings.enable_progress_bars = False
settings.execution_options.resource_limits = ray.data.ExecutionResources(cpu=1, object_store_memory=64 << 20)
blocks = ray.data.range(400, override_num_blocks=400).map_batches(megabytes, batch_size=None)
taken = iter(blocks.iter_batches(batch_size=1, prefetch_batches=0))
next(taken)
# Until all has been read ahead that may be.
time.sleep(8)
before = time.process_time()
time.sleep(SECONDS)
used = time.process_time() - before
ray.shutdown()
verdict(
    expected=f"next to no CPU time of this process in {SECONDS:.0f} s in which nothing is taken and no task can run",
    seen=f"{used:.1f} s of CPU time in {SECONDS:.0f} s",
    holds=used > 0.25 * SECONDS,
)
PY
