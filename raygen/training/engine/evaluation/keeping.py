"""What a run keeps of an evaluation of what its model makes: all that is needed to compute the same values again."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

from raygen.evaluation.generated.evaluator import GeneratedValues
from raygen.run.directory import RunDirectory
from raygen.storage import step_folder


def keep_evaluation(directory: RunDirectory, step: int, measured: GeneratedValues) -> None:
    """Writes evaluation/step-<step>.json."""
    document = {
        "step": step,
        **measured.document,
        "values": {name: value for name, value in measured.values.items() if math.isfinite(value)},
        "intervals": {name: asdict(interval) for name, interval in measured.intervals.items()},
    }
    key = f"evaluation/{step_folder(step)}.json"
    directory.storage.write(key, (json.dumps(document, indent=2) + "\n").encode())
