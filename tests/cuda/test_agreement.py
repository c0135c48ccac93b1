"""What a device computes agrees with what another one, or other code, computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import raygen
from raygen.spec import parse
from raygen.training.estimate import estimate
from tests.cuda.jobs import gpt
from tests.unit.training.runs import losses

TOLERANCE = {"Float32": 2e-3, "BFloat16": 2e-2}
"""Relative; Float32 products have 10 bits of mantissa on CUDA (TF32), BFloat16 has 7."""


def train(base: Path, document: dict[str, Any], run: str, device: str, **options: Any) -> raygen.Result:
    return raygen.train(document, output=str(base / "runs"), run=run, device=device, **options)


@pytest.mark.parametrize("precision", ["Float32", "BFloat16"])
def test_a_checkpoint_of_the_device_measures_the_same_on_the_cpu(
    tmp_path: Path, device: str, precision: str
) -> None:
    settings = {"training__precision": precision, "training__ema": None, "model__transformer__dropout": 0.0}
    settings |= {"data__train__sources": [{"uri": str(part_of_the_text(tmp_path))}]}
    steps: dict[str, Any] = {"training__duration": {"steps": 100}}
    parent = train(tmp_path, gpt("parent", **settings, **steps), "parent", device)
    # One step that changes nothing, and an evaluation.
    still = {
        "training__duration": {"steps": 1},
        "training__optimizer": {"type": "SGD", "learningRate": 1e-12},
    }
    child = train(tmp_path, gpt("child", **(settings | still)), "child", "cpu", parent=parent.run)
    assert parent.metrics["loss"] < 3
    assert child.metrics["loss"] == pytest.approx(parent.metrics["loss"], rel=TOLERANCE[precision])


@pytest.mark.parametrize("precision", ["Float32", "BFloat16"])
def test_compiled_code_trains_as_plain_code_does(tmp_path: Path, device: str, precision: str) -> None:
    courses = []
    for mode in ("Always", "Never"):
        document = gpt(
            mode.lower(),
            training__compile=mode,
            training__precision=precision,
            training__duration={"steps": 40},
            # Compiled code draws other numbers for dropout.
            model__transformer__dropout=0.0,
        )
        train(tmp_path, document, mode.lower(), device)
        courses.append(list(losses(tmp_path, mode.lower()).values()))
    assert courses[0] == pytest.approx(courses[1], rel=TOLERANCE[precision])


def test_a_plan_tells_the_memory_that_training_takes(tmp_path: Path, device: str) -> None:
    document = gpt(
        "plan",
        training__microBatchSize=None,
        training__globalBatchSize=64,
        training__duration={"steps": 10},
        training__compile="Never",
    )
    job = parse(document)
    plan = estimate(job, tmp_path, device)
    assert plan.largest_micro_batch > 64
    assert plan.checkpoint_bytes > 2 * 4 * plan.parameters
    if device == "cuda":
        assert 0 < plan.available_bytes <= torch.cuda.get_device_properties(0).total_memory
        torch.cuda.reset_peak_memory_stats()
        held = torch.cuda.memory_allocated()
        train(tmp_path, document, "plan", device)
        peak = torch.cuda.max_memory_allocated() - held
        assert 0.5 < (plan.state_bytes + plan.activation_bytes) / peak < 2


def part_of_the_text(folder: Path) -> Path:
    """So much that the CPU measures its validation part in seconds."""
    path = folder / "text.txt"
    source = Path(__file__).resolve().parents[2] / "examples" / "data" / "tinyshakespeare.txt"
    path.write_text(source.read_text()[:200_000])
    return path
