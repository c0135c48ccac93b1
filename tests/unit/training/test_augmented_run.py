"""Runs with augmentation are resumed bit for bit, and training alone is changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.jobs import image_job_document, job_document
from tests.unit.training.runs import Killed, Watcher, killed_at, losses, train

IMAGES: dict[str, Any] = {
    "crop": {"type": "Resized", "scale": [0.5, 1]},
    "rotate": {"degrees": 20},
    "noise": {"sigma": 0.05},
    "mixing": {"type": "MixUp"},
}
TEXT: dict[str, Any] = {"tokenDropout": {}, "spanMasking": {}}


def document(kind: str, *, is_changed: bool = True) -> dict[str, Any]:
    if kind == "text":
        return job_document(data__augmentation=TEXT if is_changed else None)
    changes = {"data__augmentation": IMAGES if is_changed else None, "training__optimizer__type": "Adam"}
    return image_job_document("VAE", **changes)


@pytest.mark.parametrize("kind", ["text", "images"])
def test_an_interrupted_run_continues_bit_for_bit(base: Path, image_base: Path, kind: str) -> None:
    whole, cut = document(kind), document(kind)
    cut["spec"]["output"]["run"] = "cut"
    train(base, whole)
    for step in (5, 10):
        with pytest.raises(Killed):
            train(base, cut, observer=killed_at(step))
    train(base, cut)
    assert losses(base, "cut") == losses(base)
    assert len(losses(base)) == 20


@pytest.mark.parametrize("kind", ["text", "images"])
def test_training_learns_from_other_samples(base: Path, image_base: Path, kind: str) -> None:
    plain = document(kind, is_changed=False)
    plain["spec"]["output"]["run"] = "plain"
    watcher = Watcher()
    train(base, plain)
    train(base, document(kind), observer=watcher)
    assert losses(base, "plain")[1] != losses(base)[1]
    assert watcher.evaluations.keys() == {10, 20}
