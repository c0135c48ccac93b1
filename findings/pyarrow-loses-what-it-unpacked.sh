#!/usr/bin/env bash
# Of a compressed file that is cut off, pyarrow gives less the more is asked for at a time.
#
# A call of CompressedInputStream.read that meets the end raises, and what it had unpacked is lost: a log or a data set that was cut
# off while it was copied seems to hold nothing at all to who reads it in large pieces. Python's own readers give all that there is before they raise.
# Versions: pyarrow 25.0.1.
# Source: pyarrow.CompressedInputStream.
# raygen: asks Arrow for 4 KiB at a time (raygen/data/sources/compressed.py), so that records before a cut are read.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages pyarrow==25.0.1
look <<'PY'
import pyarrow as pa
from verdict import verdict

text = b"".join(b"%d\n" % (number * 7919 % 100_003) for number in range(100_000))
sink = pa.BufferOutputStream()
with pa.CompressedOutputStream(sink, "zstd") as stream:
    stream.write(text)
packed = bytes(sink.getvalue())
cut = packed[: len(packed) * 9 // 10]


def read(size):
    found = 0
    stream = pa.CompressedInputStream(pa.BufferReader(cut), "zstd")
    try:
        while piece := stream.read(size):
            found += len(piece)
    except OSError:
        pass
    return found


small, large = read(1 << 10), read(1 << 24)
verdict(
    expected="the same beginning of the file, however it is asked for",
    seen=f"{small:,} bytes in pieces of 1 KiB, {large:,} in pieces of 16 MiB",
    holds=small > 100_000 and large == 0,
)
PY
