#!/usr/bin/env bash
# Ray Data leaves out a column that only later files have, even when it is asked for by name.
#
# The reader of Parquet takes the schema from a sample of the files. Of 40 files of which the last 20 have a
# label, all rows come without one, with no warning; `select_columns(["id", "label"])` gives the same. A data set that
# grew a column is trained on without it.
# Versions: ray 2.60.0, pyarrow 25.0.1.
# Source: not documented; RAY_DATA_USE_DATASOURCE_V2=0 still selects the reader that did otherwise.
# raygen: reads Parquet by pyarrow, and names the file that lacks a column which was asked for
# (raygen/data/sources/parquet.py).
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages 'ray[data]==2.60.0' pyarrow==25.0.1 pandas==3.1.1 numpy==2.4.6
look <<'PY'
import os

import pyarrow as pa
import pyarrow.parquet as pq
import ray
from local_ray import start
from verdict import verdict

os.mkdir("parquet")
for number in range(40):
    columns = {"id": [number]} | ({"label": [1]} if number >= 20 else {})
    pq.write_table(pa.table(columns), f"parquet/{number:03}.parquet")
start(2)
ray.data.DataContext.get_current().enable_progress_bars = False
plain = ray.data.read_parquet("parquet").take_all()
asked = ray.data.read_parquet("parquet").select_columns(["id", "label"]).take_all()
ray.shutdown()
labels = [sum(row.get("label") is not None for row in rows) for rows in (plain, asked)]
verdict(
    expected="20 labels in 40 rows, or an error that names a file",
    seen=f"{labels[0]} in {len(plain)} rows, and {labels[1]} in {len(asked)} when asked for by name",
    holds=labels == [0, 0] and len(plain) == len(asked) == 40,
)
PY
