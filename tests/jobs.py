"""Builds small jobs for tests."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

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


def set_path(document: dict[str, Any], keys: list[str], value: Any) -> None:
    """Sets a nested key; None removes it."""
    for key in keys[:-1]:
        document = document.setdefault(key, {})
    if value is None:
        document.pop(keys[-1], None)
    else:
        document[keys[-1]] = value
