"""Samples in a run directory: texts as JSON lines, images as PNG files."""

from __future__ import annotations

import json

from raygen.models.sample import Sample
from raygen.run.directory import RunDirectory


def write_samples(directory: RunDirectory, step: int, samples: list[Sample]) -> None:
    """Keeps the samples of a step: texts as JSON lines, images as PNG files."""
    texts = [s for s in samples if s.text is not None]
    if texts:
        records = ({"prompt": s.prompt, "text": s.text, "finished": s.finished} for s in texts)
        lines = "".join(json.dumps(record) + "\n" for record in records)
        directory.write_sample(step, "texts.jsonl", lines.encode())
    for number, sample in enumerate(s for s in samples if s.png is not None):
        directory.write_sample(step, f"image-{number:03}.png", sample.png or b"")
