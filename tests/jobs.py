"""Builds small jobs for tests."""

from __future__ import annotations

import copy
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

EXAMPLES = tuple(
    path
    for path in sorted((Path(__file__).parents[1] / "examples").glob("*.yaml"))
    if "\nkind: TrainingJob\n" in path.read_text(encoding="utf-8")
)
"""The examples that are jobs."""
LINES = ("the quick brown fox jumps over the lazy dog", "pack my box with five dozen liquor jugs")


def write_text(path: Path, lines: int = 200) -> Path:
    """A text that a small model can learn, with a number in every line so that lines differ."""
    path.write_text("".join(f"{i} {LINES[i % 2]}\n" for i in range(lines)), encoding="utf-8")
    return path


def job_document(**changes: Any) -> dict[str, Any]:
    """A valid job that trains in about a second.

    Args:
        changes: Dotted paths below `spec`, with `__` for dots: training__seed=3. None removes the key.
    """
    document: dict[str, Any] = {
        "apiVersion": "raygen.io/v1alpha1",
        "kind": "TrainingJob",
        "metadata": {"name": "tiny"},
        "spec": {
            "model": {
                "type": "Transformer",
                "transformer": {"layers": 2, "heads": 2, "hiddenSize": 16, "contextLength": 16},
            },
            "data": {
                "train": {"sources": [{"uri": "text.txt"}]},
                "validation": {"fraction": 0.1},
                "tokenizer": {"type": "Character"},
            },
            "training": {
                "duration": {"steps": 20},
                "globalBatchSize": 4,
                "optimizer": {"type": "AdamW", "learningRate": 1e-2},
                "seed": 1,
            },
            "evaluation": {
                "everySteps": 10,
                "metrics": [{"name": "loss", "type": "ValidationLoss"}],
                "samples": {"everySteps": 10, "count": 2, "prompts": ["the "], "maxTokens": 8},
            },
            "checkpoint": {"everySteps": 5},
            "output": {"uri": "runs"},
        },
    }
    for path, value in changes.items():
        set_path(document["spec"], path.split("__"), value)
    return copy.deepcopy(document)


def write_images(path: Path, count: int = 120, size: int = 16) -> Path:
    """Parquet with grey images of three classes: a bright bar, a square or a frame, at a place of its own."""
    generator = np.random.default_rng(0)
    images, labels = [], []
    for number in range(count):
        pixels = generator.integers(0, 30, (size, size)).astype(np.uint8)
        kind, place = number % 3, int(generator.integers(2, size - 6))
        if kind == 0:
            pixels[:, place : place + 3] = 230
        elif kind == 1:
            pixels[place : place + 4, place : place + 4] = 230
        else:
            pixels[[1, -2], :] = 230
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, format="PNG")
        images.append({"bytes": buffer.getvalue(), "path": None})
        labels.append(kind)
    pq.write_table(pa.table({"image": images, "label": labels}), path)
    return path


FAMILIES: dict[str, dict[str, Any]] = {
    "VAE": {"vae": {"network": "MLP", "hiddenSizes": [16], "latentSize": 3, "likelihood": "Bernoulli"}},
    "GAN": {"gan": {"network": "Residual", "latentSize": 4, "width": 4, "loss": "NonSaturating"}},
    "Custom": {"custom": {"entrypoint": "model:Model"}},
}


def image_job_document(family: str = "VAE", **changes: Any) -> dict[str, Any]:
    """A valid job of an image family that trains in about a second on what `write_images` writes.

    Args:
        family: VAE, GAN or Custom.
        changes: As in `job_document`.
    """
    document = job_document()
    spec = document["spec"]
    spec["model"] = {"type": family, **copy.deepcopy(FAMILIES[family])}
    spec["data"] = {"train": {"sources": [{"uri": "images.parquet", "format": "Parquet"}]}}
    spec["data"]["validation"] = {"fraction": 0.1}
    spec["evaluation"]["samples"] = {"everySteps": 10, "count": 4}
    spec["training"]["globalBatchSize"] = 8
    if family == "GAN":
        optimizer = {"type": "Adam", "learningRate": 1e-3, "betas": [0.5, 0.99]}
        del spec["training"]["optimizer"]
        spec["training"]["optimizers"] = {"generator": optimizer, "discriminator": optimizer}
        del spec["evaluation"]["everySteps"], spec["evaluation"]["metrics"]
    for path, value in changes.items():
        set_path(spec, path.split("__"), value)
    return copy.deepcopy(document)


def set_path(document: dict[str, Any], keys: list[str], value: Any) -> None:
    """Sets a nested key; None removes it."""
    for key in keys[:-1]:
        document = document.setdefault(key, {})
    if value is None:
        document.pop(keys[-1], None)
    else:
        document[keys[-1]] = value
