#!/usr/bin/env bash
# The first column that pyarrow hands to NumPy imports pandas, which takes longer than to read the file.
#
# `to_numpy` and `pa.array` of a list look whether pandas is installed by importing it, and Ray installs it everywhere.
# It is half a second of the start of every worker that never uses it. `numpy.from_dlpack` makes the same
# array, and asks for nothing.
# Versions: pyarrow 25.0.1, pandas 3.1.1, numpy 2.4.6.
# Source: pyarrow/pandas-shim.pxi, `_check_import`.
# raygen: takes numbers from columns by `numpy.from_dlpack` (raygen/data/shards/files.py).
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages pyarrow==25.0.1 pandas==3.1.1 numpy==2.4.6
look <<'PY'
import subprocess
import sys

from verdict import verdict

PROGRAM = """
import sys
import numpy, pyarrow
numbers = pyarrow.Array.from_buffers(pyarrow.int64(), 3, [None, pyarrow.py_buffer(numpy.arange(3))])
assert {taken}.tolist() == [0, 1, 2]
print("pandas" in sys.modules)
"""
ways = {"to_numpy": "numbers.to_numpy()", "from_dlpack": "numpy.from_dlpack(numbers)"}
seen = {}
for name, taken in ways.items():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(taken=taken)], capture_output=True, text=True, check=True
    )
    seen[name] = done.stdout.strip() == "True"
verdict(
    expected="three numbers, and no pandas",
    seen=f"the same numbers; pandas was imported by {', '.join(name for name, there in seen.items() if there)}",
    holds=seen == {"to_numpy": True, "from_dlpack": False},
)
PY
