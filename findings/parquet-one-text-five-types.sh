#!/usr/bin/env bash
# One column of text in Parquet, five types for the reader, by whoever wrote it.
#
# Parquet has a single logical type for text. pyarrow stores the writer's Arrow type in a footer entry and gives
# it back: string, large_string (pandas 3), string_view, or a dictionary (pandas' categories).
# pyarrow.types.is_string is true for the first alone, so a reader that checks its label column by it refuses
# sound files.
# Versions: pyarrow 25.0.1, pandas 3.1.1.
# Source: pyarrow.parquet.write_table, argument store_schema.
# raygen: takes every Arrow type of text, and categories by their text.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages pyarrow==25.0.1 pandas==3.1.1 numpy==2.4.6
look <<'PY'
import io

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from verdict import verdict

TEXTS = ["cat", "dog", "cat"]
columns = {
    "string": pa.array(TEXTS),
    "string_view": pa.array(TEXTS, pa.string_view()),
    "pandas str": pa.array(pd.Series(TEXTS)),
    "pandas category": pa.array(pd.Categorical(TEXTS)),
    "large dictionary": pa.array(TEXTS, pa.large_string()).dictionary_encode(),
}
stored, types = set(), []
for column in columns.values():
    file = io.BytesIO()
    pq.write_table(pa.table({"label": column}), file)
    stored.add(str(pq.ParquetFile(io.BytesIO(file.getvalue())).schema.column(0).logical_type))
    types.append(pq.read_table(io.BytesIO(file.getvalue())).schema.field("label").type)
plain = sum(pa.types.is_string(kind) for kind in types)
short = [str(kind).replace("dictionary<values=string, indices=", "dictionary<").replace(", ordered=0", "") for kind in types]
verdict(
    expected=f"one logical type in the file ({', '.join(stored)}), one type for the reader",
    seen=f"{short}; is_string is true for {plain} of {len(types)}",
    holds=len(stored) == 1 and len(set(types)) == 5 and plain == 1,
)
PY
