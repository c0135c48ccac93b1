"""Objectives that are functions of checkpoints."""

from __future__ import annotations

from raygen.inference.run import Run
from raygen.models.protocol import SampleRequest

BRIGHTNESS = 0.15
"""About that of the images that tests are trained on, where 1 is white."""


def brightness(run: Run, step: int) -> float:
    """How far generated images are from it."""
    images = run.family(step, "cpu").generate(SampleRequest(count=64, seed=0), range(64))["images"]
    return abs(float(images.float().mean()) / 255 - BRIGHTNESS)
