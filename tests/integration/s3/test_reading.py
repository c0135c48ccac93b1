"""Prepared data in an object store that Ray Data reads ahead of several workers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.integration.commands import trained
from tests.integration.s3.conftest import fresh
from tests.jobs import write_images
from tests.unit.training.runs import losses


@pytest.mark.long
def test_two_workers_have_the_same_losses_to_the_last_bit(tmp_path: Path, aws: dict[str, str]) -> None:
    write_images(tmp_path / "images.parquet", count=300, size=64)
    options: dict[str, Any] = {
        "preparation": {"uri": fresh(), "encoding": "PNG", "shardMegabytes": 1, "shardsPerWindow": 2},
        "scale": {"workers": 2, "cpusPerWorker": 1},
        "training__duration": {"steps": 60},
        "evaluation": {"everySteps": 60, "metrics": [{"name": "loss", "type": "ValidationLoss"}]},
        "checkpoint": {"everySteps": 60},
    }
    results = [
        trained(tmp_path, run, 4, environment=elsewhere(tmp_path / run, aws), data__reading=how, **options)
        for run, how in (("alone", {"type": "InProcess"}), ("read", {"type": "RayData", "workers": 2}))
    ]
    assert [result["state"] for result in results] == ["Succeeded"] * 2
    alone, read = (losses(tmp_path, run) for run in ("alone", "read"))
    assert len(alone) == 60
    assert read == alone


def elsewhere(cache: Path, aws: dict[str, str]) -> dict[str, str]:
    """An environment in which nothing lies in a cache."""
    return {**os.environ, **aws, "RAYGEN_CACHE_DIR": str(cache)}
