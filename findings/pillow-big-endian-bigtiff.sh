#!/usr/bin/env bash
# A BigTIFF whose numbers begin with the upper byte does not open, while the same file with the lower byte first does.
#
# Pillow knows a BigTIFF by the number 43 in its third byte. In files of the other order, as microscopes and scanners with such
# processors write them, that byte is 0 and the 43 comes fourth: to Pillow they are no pictures at all, and a data set
# loses them or stops there. Ordinary TIFF opens in both orders.
# Versions: pillow 13.0.0, tifffile 2026.3.3.
# Source: the constants MM and II of BigTIFF in PIL/TiffImagePlugin.py; BigTIFF's design note gives the version as a 16-bit number.
# raygen: knows both orders by their first bytes, and says of this one that it cannot be read (raygen/data/images/decoding.py).
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages pillow==13.0.0 tifffile==2026.3.3 numpy==2.4.6
look <<'PY'
import io

import numpy as np
import tifffile
from PIL import Image, UnidentifiedImageError
from verdict import verdict

GRADIENT = np.arange(64, dtype=np.uint8).reshape(8, 8)


def opens(order, big):
    """Whether Pillow gives back what tifffile wrote."""
    file = io.BytesIO()
    tifffile.imwrite(file, GRADIENT, byteorder=order, bigtiff=big)
    assert np.array_equal(tifffile.imread(io.BytesIO(file.getvalue())), GRADIENT)
    try:
        return bool(np.array_equal(np.asarray(Image.open(io.BytesIO(file.getvalue()))), GRADIENT))
    except UnidentifiedImageError:
        return False


found = {
    f"{'Big' if big else ''}TIFF, {'lower' if order == '<' else 'upper'} byte first": opens(order, big)
    for big in (False, True)
    for order in "<>"
}
verdict(
    expected="all four open",
    seen=f"opens: {found}",
    holds=list(found.values()) == [True, True, True, False],
)
PY
