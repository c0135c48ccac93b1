"""The examples with images, shortened: what each promises in its header is there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
EXPECTED = {
    "02-vae-mnist": ("vae-mnist", 3, {"loss", "active"}),
    "03-gan-mnist": ("gan-mnist", 2, set()),
    "04-custom-model": ("flow-mnist", 1, {"loss", "bits_per_dim"}),
    "06-images-from-tar": ("digits-from-tar", 3, {"loss"}),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_an_example_trains_and_shows_pictures(tmp_path: Path, name: str) -> None:
    run, pictures, metrics = EXPECTED[name]
    command = [sys.executable, "-m", "raygen", "train", str(EXAMPLES / f"{name}.yaml"), "--json"]
    short = ["training.duration={steps: 12}", "evaluation.samples.count=16"]
    if name.startswith("06"):
        short.append(f"preparation.uri={tmp_path / 'prepared'}")
    options = [part for setting in short for part in ("--set", setting)]
    done = subprocess.run(
        [*command, *options, "--output", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["state"] == "Succeeded"
    assert result["metrics"].keys() == metrics
    folder = tmp_path / run
    assert len(list(folder.glob("samples/step-00000012/*.png"))) == pictures
    assert (folder / "report.html").read_text().count("data:image/png;base64,") >= pictures
