"""Samples in a run directory: texts as JSON lines, images as PNG files, music as MIDI files."""

from __future__ import annotations

import json
from dataclasses import replace

from raygen.data.music.remi import midi_of_text
from raygen.models.sample import Sample
from raygen.run.directory import RunDirectory


def write_samples(directory: RunDirectory, step: int, samples: list[Sample]) -> None:
    """Keeps the samples of a step: texts as JSON lines, images as PNG files, music as MIDI files too."""
    texts = [s for s in samples if s.text is not None]
    if texts:
        records = ({"prompt": s.prompt, "text": s.text, "finished": s.finished} for s in texts)
        lines = "".join(json.dumps(record) + "\n" for record in records)
        directory.write_sample(step, "texts.jsonl", lines.encode())
    for number, sample in enumerate(s for s in samples if s.png is not None):
        directory.write_sample(step, f"image-{number:03}.png", sample.png or b"")
    for number, sample in enumerate(s for s in samples if s.midi is not None):
        directory.write_sample(step, f"music-{number:03}.mid", sample.midi or b"")


def played(samples: list[Sample], domain: object) -> list[Sample]:
    """The samples, with MIDI files of those that are music.

    Args:
        samples: What a model has made.
        domain: What its data holds.

    Raises:
        MissingExtraError: it is music, and miditok is not installed.
    """
    if not getattr(domain, "is_of_music", False):
        return samples
    return [
        sample
        if sample.text is None
        else replace(
            sample, midi=midi_of_text(f"{sample.prompt} {sample.text}".replace("<|endoftext|>", " "))
        )
        for sample in samples
    ]
