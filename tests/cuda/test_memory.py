"""A job that is too large for the device ends with what to do, and no traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cuda.jobs import gpt
from tests.cuda.processes import finish, started

LARGE = {
    "model__transformer": {"layers": 1, "heads": 8, "hiddenSize": 1024, "contextLength": 1024},
    "training__globalBatchSize": 65536,
    "training__microBatchSize": None,
    "training__duration": {"steps": 2},
}


@pytest.mark.parametrize("mode", ["Auto", "Never"])
def test_training_names_the_remedy(tmp_path: Path, device: str, mode: str) -> None:
    document = gpt("large", **LARGE, training__compile=mode)
    options = ("--device", device, "--output", str(tmp_path / "runs"))
    with started("train", document, tmp_path, "cache", *options) as process:
        code, _, errors = finish(process)
    assert code == 1, errors
    assert "Traceback" not in errors
    assert "the memory of the device" in errors
    assert "Set spec.training.microBatchSize" in errors
    outcome = json.loads((tmp_path / "runs" / "large" / "outcome.json").read_text())
    assert (outcome["state"], outcome["reason"]) == ("Failed", "OutOfMemory")


def test_planning_names_the_remedy(tmp_path: Path, device: str) -> None:
    with started("plan", gpt("large", **LARGE), tmp_path, "cache", "--device", device) as process:
        code, _, errors = finish(process)
    assert code == 1, errors
    assert "Traceback" not in errors
    assert "Set spec.training.microBatchSize" in errors
