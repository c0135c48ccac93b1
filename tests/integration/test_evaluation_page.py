"""The commands that README.md and docs/evaluation-of-runs.md give for evaluations, as they stand there, of runs of two steps."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as parquet
import pytest

from tests.integration.test_data_page import commands

ROOT = Path(__file__).resolve().parents[2]
SHORT = {
    "02-vae-mnist.yaml": [
        "training.duration={steps: 4690}",
        "evaluation.everySteps=4690",
        "checkpoint.everySteps=4690",
    ],
    "03-gan-mnist.yaml": ["training.duration.steps=2", "checkpoint.everySteps=2"],
}
FEW = {"train-extractor": ["--steps", "20"], "other": ["--samples", "40"]}


@pytest.mark.long
def test_the_commands_of_the_pages_do_what_they_say(tmp_path: Path) -> None:
    (tmp_path / "examples" / "data" / "mnist").mkdir(parents=True)
    for name in SHORT:
        (tmp_path / "examples" / name).write_text((ROOT / "examples" / name).read_text())
    # To decode all 70,000 digits takes each command longer than all else that it does here.
    for split in ("train", "test"):
        place = Path("examples", "data", "mnist", f"{split}.parquet")
        parquet.write_table(parquet.read_table(ROOT / place).slice(0, 500), tmp_path / place)

    def raygen(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "raygen", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{shlex.join(words)}\n{done.stderr}"
        return done.stdout

    for name, changes in SHORT.items():
        small = (
            ["model.vae.hiddenSizes=[8]", "training.globalBatchSize=8"]
            if "vae" in name
            else ["model.gan.width=4"]
        )
        options = [word for change in [*changes, *small] for word in ("--set", change)]
        raygen("train", f"examples/{name}", "--output", "runs", "--device", "cpu", *options)
    page = commands(ROOT / "docs" / "evaluation-of-runs.md", "# How good a run's model is")
    readme = commands(ROOT / "README.md", "## Evaluate")
    said = {}
    for command in [*readme, *(one for one in page if one not in readme)]:
        few = FEW["train-extractor" if "train-extractor" in command else "other"]
        said[shlex.join(command)] = raygen(*command[1:], *few)
    assert (
        "accuracy"
        in said["raygen evaluate train-extractor examples/02-vae-mnist.yaml --to digits.safetensors"]
    )
    measured = said["raygen evaluate runs/vae-mnist --extractor digits.safetensors"]
    assert "FrechetDistance" in measured
    assert "NegativeLogLikelihood" in measured
    assert "FrechetDistance" in (tmp_path / "comparison.html").read_text()
    kept = (tmp_path / "runs" / "vae-mnist" / "evaluation").glob("step-00004690-*.json")
    assert any(json.loads(path.read_text())["values"].get("FrechetDistance", 0) > 0 for path in kept)
