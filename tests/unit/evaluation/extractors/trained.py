"""A small extractor that was trained, for jobs of tests."""

from __future__ import annotations

from pathlib import Path

import torch

from raygen.evaluation.extractors import train_extractor
from tests.unit.evaluation.extractors.files import random_images


def trained_extractor(path: Path) -> dict[str, str]:
    """Writes an extractor of grey images, and gives what a job names it by."""
    images = random_images(60, height=16, width=16)
    labels = torch.arange(60) % 2
    images[labels == 1, :, 4:12] //= 8
    trained = train_extractor(
        images, labels, ("even", "odd"), name="tiny", steps=4, size=16, widths=(4, 8), features=16
    )
    path.write_bytes(trained.content)
    return {"type": "Network", "uri": path.name, "sha256": trained.sha256}
