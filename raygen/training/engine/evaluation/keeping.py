"""What a run keeps of an evaluation of what its model makes: all that is needed to compute the same values again."""

from __future__ import annotations

import json

from raygen.evaluation.generated.evaluator import GeneratedValues
from raygen.evaluation.intervals import recorded
from raygen.run.directory import RunDirectory
from raygen.storage import step_folder


def keep_evaluation(directory: RunDirectory, step: int, measured: GeneratedValues) -> None:
    """Writes evaluation/step-<step>.json."""
    document = {"step": step, **measured.document, **recorded(measured.values, measured.intervals)}
    key = f"evaluation/{step_folder(step)}.json"
    directory.storage.write(key, (json.dumps(document, indent=2) + "\n").encode())
