"""Short documents, prepared once and trained on in every way of packing."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

import raygen
from tests.jobs import job_document
from tests.unit.training.runs import Killed, Watcher, killed_at, losses

WORDS = ("the", "quick", "brown", "fox", "jumps", "over", "dogs")
METRICS = [{"name": "loss", "type": "ValidationLoss"}, {"name": "bits", "type": "BitsPerByte"}]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, draws = tmp_path_factory.mktemp("packing"), random.Random(0)
    with (folder / "documents.jsonl").open("w") as file:
        for _ in range(300):
            text = " ".join(draws.choice(WORDS) for _ in range(draws.randint(1, 5)))
            file.write(json.dumps({"text": text}) + "\n")
    return folder


def document(packing: str, **changes: Any) -> dict[str, Any]:
    return job_document(
        data__train__sources=[{"uri": "documents.jsonl", "format": "JsonLines"}],
        data__packing=packing,
        preparation={"uri": "prepared"},
        evaluation__metrics=METRICS,
        **changes,
    )


def train(base: Path, packing: str, run: str, watcher: Watcher, **changes: Any) -> raygen.Result:
    return raygen.train(
        document(packing, **changes),
        base=base,
        output=str(base / "runs"),
        run=run,
        device="cpu",
        observer=watcher,
    )


@pytest.mark.parametrize("packing", ["Stream", "Documents", "Single"])
def test_a_job_trains_on_packed_documents(base: Path, packing: str) -> None:
    watcher = Watcher()

    result = train(base, packing, packing.lower(), watcher)

    assert result.metrics["loss"] < watcher.evaluations[10]["loss"] < 2.6
    assert 0 < result.metrics["bits"] < watcher.evaluations[10]["bits"]
    cut_off = [notice for notice in watcher.notices if "cut off" in notice]
    assert len(cut_off) == (packing == "Single")


@pytest.mark.parametrize("packing", ["Documents", "Single"])
def test_parts_of_a_step_and_a_kill_change_nothing(base: Path, packing: str) -> None:
    train(base, packing, f"{packing}-calm".lower(), Watcher())
    parted = f"{packing}-parted".lower()
    with pytest.raises(Killed):
        train(base, packing, parted, killed_at(15), training__microBatchSize=3)
    train(base, packing, parted, Watcher(), training__microBatchSize=3)

    assert losses(base, parted) == pytest.approx(losses(base, f"{packing}-calm".lower()), rel=1e-4)
