#!/usr/bin/env bash
# A white image that is turned and filled with white gets a grey seam.
#
# transforms.v2 turns an image and a mask of ones by bilinear sampling with zeros outside, and then blends the fill by the
# mask. At the border the sampled image has been weighted by the mask already, and is weighted by it again: of a pixel that is half inside
# a quarter is left, and half of the fill is added. RandomRotation and RandomAffine fill by default (with 0), so their borders
# are darker than those of the functions without a fill.
# Versions: torch 2.13.0, torchvision 0.28.0.
# Source: pytorch/vision#8083 and #6517, both open; _apply_grid_transform in torchvision/transforms/v2/functional/_geometry.py.
# raygen: black borders are those of the functions without a fill (raygen/augmentation/geometry.py), each pixel weighted once.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages torch==2.13.0 torchvision==0.28.0 numpy==2.4.6
look <<'PY'
import torch
from torchvision.transforms import InterpolationMode, v2
from verdict import verdict

white = torch.ones(1, 9, 9)
turned = v2.functional.rotate(white, 30.0, InterpolationMode.BILINEAR, fill=1.0)
plain = v2.functional.rotate(white, 30.0, InterpolationMode.BILINEAR)
filled = v2.RandomRotation((30, 30), InterpolationMode.BILINEAR)(white)
darkest, apart = float(turned.min()), float((plain - filled).abs().max())
verdict(
    expected="white everywhere: 1.00; and a default fill with 0 that changes nothing beside no fill: 0.00",
    seen=f"the darkest pixel of white on white is {darkest:.2f}; with the default fill the border differs by up to {apart:.2f}",
    holds=darkest < 0.9 and apart > 0.1,
)
PY
