#!/usr/bin/env bash
# A camera's .jpg opens as MPO, an animation of two pictures, though only JPEG was allowed.
#
# Cameras and phones append a preview or a depth map to the JPEG (Multi-Picture Format). Pillow then returns
# another class, format "MPO" and n_frames 2; `formats=("JPEG",)` does not exclude it. A check of the format, or
# for animations, refuses ordinary photos or drops them from a data set.
# Versions: Pillow 13.0.0.
# Source: Pillow's list of formats names MPO; that the plugin for JPEG hands over to it is in
# JpegImagePlugin.jpeg_factory.
# raygen: takes the first picture of an MPO for what it is, a JPEG photo.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages pillow==13.0.0
look <<'PY'
import io

from PIL import Image
from verdict import verdict

photo, preview = Image.new("RGB", (64, 48), (200, 99, 9)), Image.new("RGB", (16, 12))
file = io.BytesIO()
photo.save(file, format="MPO", save_all=True, append_images=[preview])  # as a camera writes it
opened = Image.open(io.BytesIO(file.getvalue()), formats=("JPEG",))
verdict(
    expected="format JPEG, one frame: any viewer shows one photo",
    seen=f"format {opened.format}, {getattr(opened, 'n_frames', 1)} frames, animated {getattr(opened, 'is_animated', False)}",
    holds=opened.format == "MPO" and opened.n_frames == 2,
)
PY
