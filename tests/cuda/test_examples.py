"""The examples train."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

import raygen
from tests.unit.training.runs import Watcher, losses

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def train(name: str, output: Path, device: str, *changes: str) -> tuple[raygen.Result, Watcher, list[float]]:
    job = raygen.load(EXAMPLES / name, overrides=list(changes)).job
    watcher = Watcher()
    result = raygen.train(
        job, base=EXAMPLES, output=str(output / "runs"), run="example", device=device, observer=watcher
    )
    return result, watcher, list(losses(output, "example").values())


@pytest.mark.parametrize("precision", ["Float32", "BFloat16"])
def test_a_gpt_learns_and_writes(tmp_path: Path, device: str, precision: str) -> None:
    changes = (
        "training.duration.steps=300",
        "evaluation.samples.everySteps=150",
        f"training.precision={precision}",
    )
    result, watcher, course = train("01-gpt-tiny.yaml", tmp_path, device, *changes)
    assert course[0] > 4
    assert result.metrics["loss"] < 2.2
    assert sorted(watcher.samples) == [150, 300]
    assert all(sample.text for sample in watcher.samples[300])
    assert result.report is not None


@pytest.mark.parametrize("compiled", ["Always", "Never"])
def test_a_vae_learns_and_draws(tmp_path: Path, device: str, compiled: str) -> None:
    changes = ("training.duration={steps: 400}", "evaluation.everySteps=200", f"training.compile={compiled}")
    result, watcher, course = train("02-vae-mnist.yaml", tmp_path, device, *changes)
    assert course[0] > 400
    assert result.metrics["loss"] < 150
    assert [sample.prompt for sample in watcher.samples[400]] == [
        "samples",
        "interpolations",
        "reconstructions",
    ]
    assert all(sample.png for sample in watcher.samples[400])


@pytest.mark.parametrize("compiled", ["Always", "Never"])
def test_a_gan_learns_and_draws(tmp_path: Path, device: str, compiled: str) -> None:
    changes = (
        "training.duration.steps=200",
        "evaluation.samples.everySteps=100",
        f"training.compile={compiled}",
    )
    _, watcher, course = train("03-gan-mnist.yaml", tmp_path, device, *changes)
    assert len(course) == 200
    assert all(math.isfinite(loss) for loss in course)
    before, after = (watcher.samples[step][0].png for step in (100, 200))
    assert before
    assert before != after


def test_a_model_of_the_users_own_learns(tmp_path: Path, device: str) -> None:
    changes = (
        "training.duration={steps: 200}",
        "evaluation.everySteps=200",
        "evaluation.samples.everySteps=200",
    )
    result, watcher, course = train("04-custom-model.yaml", tmp_path, device, *changes)
    assert course[-1] < course[0]
    assert result.metrics["bits_per_dim"] < 6
    assert watcher.samples[200][0].png
