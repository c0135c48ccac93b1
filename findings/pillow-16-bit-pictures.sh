#!/usr/bin/env bash
# Of 16-bit PNG, grey is cut off at 255 and colour loses its lower bits, both in silence.
#
# convert("L") of a grey picture with 16 bits a channel does not scale: everything above 255 of 65,535 becomes
# white, so a depth map or an X-ray turns into a white sheet. A colour picture of 16 bits opens as plain RGB with
# the upper 8 bits, so that a look at the mode cannot tell it from an ordinary one. One and the same value so
# becomes 255 or 117.
# Versions: Pillow 13.0.0.
# Source: Pillow's "Modes" names I;16 as a special mode with limited support.
# raygen: reads the upper 8 of 16 bits itself and says so (raygen/data/images/decoding.py).
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages pillow==13.0.0 numpy==2.4.6
look <<'PY'
import io
import struct
import zlib

import numpy as np
from PIL import Image
from verdict import verdict

VALUES = [100, 256, 30000, 65535]


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(color):
    channels = 3 if color else 1
    row = b"\0" + b"".join(struct.pack(">H", value) * channels for value in VALUES)
    header = struct.pack(">IIBBBBB", len(VALUES), 1, 16, 2 if color else 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")
    return Image.open(io.BytesIO(b"\x89PNG\r\n\x1a\n" + parts))


grey, color = png(color=False), png(color=True)
modes = (grey.mode, color.mode)
grey, color = np.asarray(grey.convert("L"))[0].tolist(), np.asarray(color)[0, :, 0].tolist()
verdict(
    expected=f"{VALUES} of 65,535 in 8 bits: [0, 1, 117, 255] in both",
    seen=f"grey ({modes[0]}) {grey}, colour ({modes[1]}) {color}",
    holds=grey == [100, 255, 255, 255] and color == [0, 1, 117, 255] and modes[1] == "RGB",
)
PY
