"""The examples' first 50 steps, and what their runs remember of the job, as files that a change must leave alone; and that those with
images show what their headers promise.

Losses are compared to a tolerance, since processors round differently; RAYGEN_GOLDEN=exact compares every bit, for two
states of the code on one machine. RAYGEN_GOLDEN=write writes the files anew, which a commit has to explain.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import raygen
from raygen.jobfile import load
from tests.jobs import EXAMPLES

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
MODE = os.environ.get("RAYGEN_GOLDEN", "")
STEPS = 50
TOLERANCES = {"01-gpt-tiny": 1e-3, "02-vae-mnist": 1e-3, "03-gan-mnist": 0.05, "04-custom-model": 0.05}
TOLERANCES |= {"05-prepare-text": 1e-3, "06-images-from-tar": 1e-3}
"""Relative; losses of GANs and flows feed on their own rounding."""
SHOWN = {
    "02-vae-mnist": (3, {"loss", "active"}),
    "03-gan-mnist": (2, set()),
    "04-custom-model": (1, {"loss", "bits_per_dim"}),
    "06-images-from-tar": (3, {"loss"}),
}
"""Of an example with images how many pictures it draws at the end, and its metrics."""
OF_A_MACHINE = ("base", "uri", "environment")
"""Parts of job.json that differ from machine to machine."""


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_trains_as_it_did(tmp_path: Path, path: Path) -> None:
    overrides = [
        f"training.duration={{steps: {STEPS}}}",
        "evaluation.samples.count=16" if path.stem in SHOWN else "evaluation={}",
        "checkpoint={everySteps: 50, keep: 2, keepBest: null}",
        f"output={{uri: {tmp_path}}}",
    ]
    if load(path).job.spec.preparation is not None:
        overrides.append(f"preparation.uri={tmp_path / 'prepared'}")
    loaded = load(path, overrides=overrides)
    result = raygen.train(loaded.job, base=path.parent, device="cpu")
    folder = tmp_path / loaded.job.metadata.name
    if path.stem in SHOWN:
        pictures, metrics = SHOWN[path.stem]
        assert result.metrics.keys() == metrics
        assert len(list(folder.glob(f"samples/step-{STEPS:08}/*.png"))) == pictures
        assert (folder / "report.html").read_text().count("data:image/png;base64,") >= pictures
    run = raygen.Run.open(folder)
    lines = [line for line in run.directory.read_metrics().lines if line.kind == "train"]
    assert [line.step for line in lines] == list(range(1, STEPS + 1))
    losses = [line.values["loss"] for line in lines]
    known = _known(path.stem, {"losses": losses, "job": _portable(run.document)})
    tolerance = 0.0 if MODE == "exact" else TOLERANCES[path.stem]
    assert losses == pytest.approx(known["losses"], rel=tolerance, abs=0.0)
    assert _portable(run.document) == known["job"]


def _known(name: str, current: Mapping[str, Any]) -> dict[str, Any]:
    file = GOLDEN / f"{name}.json"
    if MODE == "write":
        file.write_text(json.dumps(current, indent=1, sort_keys=True) + "\n")
    known: dict[str, Any] = json.loads(file.read_text())
    return known


def _portable(document: Mapping[str, Any]) -> dict[str, Any]:
    kept = copy.deepcopy({name: value for name, value in document.items() if name not in OF_A_MACHINE})
    spec = kept["job"]["spec"]
    for block in ("output", "preparation"):
        if spec.get(block) is not None:
            del spec[block]["uri"]
    return kept
