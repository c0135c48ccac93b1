#!/usr/bin/env bash
# streaming_train_test_split puts the same rows into training and test.
#
# A lazy pipeline is executed once for each half, blocks arrive in another order the second time, and which rows
# are drawn depends on the order. So test rows are trained on, as many rows are in neither half, and both sizes
# look right.
# Versions: ray 2.60.0, pyarrow 25.0.1.
# Source: a tip in the method's documentation recommends preserve_order, which makes the halves disjoint; without
# it there is no error.
# raygen: takes the validation split from positions in the data, which follow from seed and source alone.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages 'ray[data]==2.60.0' pyarrow==25.0.1 pandas==3.1.1 numpy==2.4.6
look <<'PY'
import os
import time

import pyarrow as pa
import pyarrow.parquet as pq
import ray
from local_ray import start
from verdict import verdict

os.mkdir("parquet")
for number in range(20):
    ids = list(range(number * 50, number * 50 + 50))
    pq.write_table(pa.table({"id": ids}), f"parquet/{number:03}.parquet")
start(4)
ray.data.DataContext.get_current().enable_progress_bars = False


def uneven(batch):
    import random

    time.sleep(random.random() / 5)  # as blocks of different cost would take
    return batch


shared = missing = 0
for _ in range(3):
    rows = ray.data.read_parquet("parquet").map_batches(uneven, batch_size=50)
    train, test = rows.streaming_train_test_split(0.2, seed=0)
    train, test = ({row["id"] for row in half.take_all()} for half in (train, test))
    shared, missing = len(train & test), 1000 - len(train | test)
    if shared:
        break
ray.shutdown()
verdict(
    expected="800 and 200 of 1,000 rows, and no row in both",
    seen=f"{len(train)} and {len(test)}, {shared} in both, {missing} in neither",
    holds=shared > 0,
)
PY
