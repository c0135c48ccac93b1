#!/usr/bin/env bash
# convert("RGB") brings back the colours under transparent pixels.
#
# Alpha is dropped, not applied: a cut-out on a transparent background is trained on with whatever the editor had
# left there, often black, often the whole original picture. resize() does weigh by alpha, so the order of the two
# calls changes the pixels too.
# Versions: Pillow 13.0.0.
# Source: Pillow's concepts name the conversions; that alpha is ignored is found with Image.alpha_composite.
# raygen: composes pictures with alpha on one documented background before anything else.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages pillow==13.0.0
look <<'PY'
from PIL import Image
from verdict import verdict

picture = Image.new("RGBA", (2, 1), (255, 255, 255, 255))
picture.putpixel((1, 0), (255, 0, 0, 0))  # a red pixel that nobody sees
shown = Image.alpha_composite(Image.new("RGBA", (2, 1), "white"), picture).convert("RGB").getpixel((1, 0))
converted = picture.convert("RGB").getpixel((1, 0))
first_convert = picture.convert("RGB").resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
first_resize = picture.resize((1, 1), Image.Resampling.BOX).convert("RGB").getpixel((0, 0))
verdict(
    expected=f"on white the picture is white: {shown}",
    seen=f"the hidden pixel {converted}; shrunk {first_convert} after and {first_resize} before convert",
    holds=converted == (255, 0, 0) and first_convert != first_resize,
)
PY
