#!/usr/bin/env bash
# Ray Train gives every worker the same number of rows, and the rest of the data set to none.
#
# Data sets that are handed to a trainer are split with equal=True by default: of 1,003 rows each of four workers
# gets 250, and three rows are never seen, in a validation set neither. Dataset.streaming_split itself has
# equal=False.
# Versions: ray 2.60.0.
# Source: ray.train.DataConfig; its documentation speaks of even splits and not of what is left over.
# raygen: reads by itself, in lanes of the global batch; each window of an epoch is dealt once, whatever the
# number of workers.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages 'ray[data,train]==2.60.0' pyarrow==25.0.1 pandas==3.1.1 numpy==2.4.6
look <<'PY'
import ray
import ray.data
import ray.train
from local_ray import start
from verdict import verdict

start(2)
ray.data.DataContext.get_current().enable_progress_bars = False


@ray.remote(num_cpus=0)
def count(split):
    return sum(len(batch["id"]) for batch in split.iter_batches(batch_size=None))


# As a trainer does it for its workers, without the minute that those take to start.
splits = ray.train.DataConfig().configure({"train": ray.data.range(1003)}, 4, None, None)
rows = ray.get([count.remote(split["train"]) for split in splits])
ray.shutdown()
verdict(
    expected="1,003 rows in all",
    seen=f"{' + '.join(map(str, rows))} = {sum(rows)}",
    holds=rows == [250] * 4,
)
PY
