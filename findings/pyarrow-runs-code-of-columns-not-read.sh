#!/usr/bin/env bash
# To read one column of a Parquet file, pyarrow runs the registered code of the extension types of all others.
#
# A writer may store an Arrow schema in the file's metadata. Whatever columns are asked for, pyarrow hands the metadata of every
# extension type in it, which is the file's own, to the Python class that is registered under that name. A library that
# unpickles there (Ray's tensors once did) is reached by a file of which only a harmless column is read.
# Versions: pyarrow 25.0.1.
# Source: pyarrow.ExtensionType.__arrow_ext_deserialize__; pyarrow.parquet.read_table, argument columns.
# raygen: overwrites the key of that schema in the footer before pyarrow sees it (raygen/data/records/tables/parquet.py).
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages pyarrow==25.0.1
look <<'PY'
import io

import pyarrow as pa
import pyarrow.parquet as pq
from verdict import verdict

CALLS = []


class Tensor(pa.ExtensionType):
    def __init__(self):
        super().__init__(pa.int64(), "example.tensor")

    def __arrow_ext_serialize__(self):
        return b"whatever the file says"

    @classmethod
    def __arrow_ext_deserialize__(cls, storage, serialized):
        CALLS.append(serialized)
        return cls()


pa.register_extension_type(Tensor())
file = io.BytesIO()
tensors = pa.ExtensionArray.from_storage(Tensor(), pa.array([1, 2]))
pq.write_table(pa.table({"text": ["a", "b"], "tensor": tensors}), file)
CALLS.clear()
names = pq.read_table(io.BytesIO(file.getvalue()), columns=["text"]).column_names
verdict(
    expected="reading the column text runs no code of the column tensor",
    seen=f"columns read: {names}; the type's code was given {CALLS[:1]}",
    holds=names == ["text"] and CALLS[:1] == [b"whatever the file says"],
)
PY
