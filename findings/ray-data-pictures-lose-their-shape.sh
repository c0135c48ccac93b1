#!/usr/bin/env bash
# A column of pictures that Ray Data writes to Parquet has no height and width for anybody else.
#
# 8x8 pixels become a list of 64 bytes; the shape stands only in the metadata of Ray's extension type. pyarrow,
# and all that reads Parquet through it, gets flat lists and no error.
# Versions: ray 2.60.0, pyarrow 25.0.1.
# Source: Ray's page on tensors; Arrow's own fixed_shape_tensor would be read by others.
# raygen: keeps pictures as encoded bytes in Parquet, the layout of image data sets on the Hugging Face hub.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages 'ray[data]==2.60.0' pyarrow==25.0.1 pandas==3.1.1 numpy==2.4.6
look <<'PY'
import subprocess
import sys

import numpy as np
import ray
from local_ray import start
from verdict import verdict

READER = """
import numpy, pyarrow.parquet
value = pyarrow.parquet.read_table("pictures")["image"][0].as_py()
print(numpy.asarray(value).shape)
"""
start(2)
ray.data.DataContext.get_current().enable_progress_bars = False
rows = ray.data.range(4).map(lambda row: {"image": np.zeros((8, 8), np.uint8)})
rows.write_parquet("pictures")
own = ray.data.read_parquet("pictures").take(1)[0]["image"].shape
ray.shutdown()
other = subprocess.run([sys.executable, "-c", READER], capture_output=True, text=True, check=True).stdout.strip()
verdict(
    expected="(8, 8) for every reader",
    seen=f"{own} for Ray, {other} for pyarrow in a process without Ray",
    holds=own == (8, 8) and other == "(64,)",
)
PY
