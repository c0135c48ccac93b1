"""Runs on prepared data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from raygen.errors import DataError, InputError
from raygen.training.observers.events import Progress
from tests.jobs import job_document
from tests.prepared import documents, write_lines
from tests.unit.training.runs import Killed, Watcher, killed_at, losses, train


@pytest.fixture
def base(tmp_path: Path) -> Path:
    for number in range(2):
        write_lines(tmp_path / f"{number}.jsonl", documents(300, seed=number))
    return tmp_path


def document(**changes: Any) -> dict[str, Any]:
    sources = [{"uri": f"{number}.jsonl", "format": "JsonLines"} for number in range(2)]
    defaults: dict[str, Any] = {
        "data__train": {"sources": sources, "mixture": {"weights": [2, 1]}},
        "data__tokenizer": {"type": "Byte"},
        "preparation": {"uri": "prepared", "shardMegabytes": 1, "shardsPerWindow": 2},
    }
    return job_document(**defaults | changes)


def mixture(*changes: dict[str, Any]) -> dict[str, Any]:
    return {**document()["spec"]["data"]["train"], "weightChanges": list(changes)}


def test_training_prepares_what_is_missing_and_needs_no_sources_afterwards(base: Path) -> None:
    watcher = Watcher()
    result = train(base, document(), observer=watcher)
    assert result.state == "Succeeded"
    assert "preparing data in prepared" in watcher.notices
    index = json.loads((base / "prepared" / "index.json").read_text())
    job = json.loads((base / "runs" / "tiny" / "job.json").read_text())
    assert job["data"]["fingerprint"] == index["fingerprint"]
    for number in range(2):
        (base / f"{number}.jsonl").unlink()
    again = Watcher()
    train(base, document(), run="again", observer=again)
    assert losses(base, "again") == losses(base)
    assert not any("preparing" in notice for notice in again.notices)


def test_an_interrupted_run_on_streams_continues_bit_for_bit(base: Path) -> None:
    train(base, document(), run="calm")
    for step in (7, 13):
        with pytest.raises(Killed):
            train(base, document(checkpoint__everySteps=1), run="killed", observer=killed_at(step))
    train(base, document(), run="killed")
    assert losses(base, "killed") == losses(base, "calm")


def test_weights_may_change_ahead_of_a_run_and_not_behind_it(base: Path) -> None:
    train(base, document())
    later = {"fromSample": 100, "weights": [0, 1]}
    longer = {"training__duration": {"steps": 40}}
    result = train(base, document(**longer, data__train=mixture(later)))
    assert (result.state, result.step) == ("Succeeded", 40)
    train(base, document(**longer), run="plain")
    plain, changed = losses(base, "plain"), losses(base)
    # 4 samples a step: sample 100 is the first of step 26.
    assert next(step for step in range(1, 41) if plain[step] != changed[step]) == 26
    earlier = {"fromSample": 50, "weights": [0, 1]}
    for wrong in ([earlier, later], [], [{"fromSample": 100, "weights": [1, 1]}]):
        with pytest.raises(InputError, match="are not those of the run, which has trained 160 samples"):
            train(base, document(training__duration={"steps": 60}, data__train=mixture(*wrong)))


def test_a_source_that_disappears_ends_the_run_with_a_checkpoint(base: Path) -> None:
    """As a bucket whose server has gone for longer than requests are repeated."""

    class Removes(Watcher):
        def progressed(self, progress: Progress) -> None:
            if progress.step >= 3:
                shutil.rmtree(base / "prepared" / "train", ignore_errors=True)

    endless = document(
        training__globalBatchSize=512,
        training__duration={"steps": 4000},
        checkpoint__everySteps=1000,
        evaluation__everySteps=None,
    )
    with pytest.raises(DataError, match="in the index, and not there"):
        train(base, endless, observer=Removes())
    outcome = json.loads((base / "runs" / "tiny" / "outcome.json").read_text())
    assert (outcome["state"], outcome["reason"]) == ("Failed", "DataError")
    # As on a console: which file.
    assert str(base / "prepared" / "train") in outcome["message"]
    kept = sorted((base / "runs" / "tiny" / "checkpoints").iterdir())
    assert kept[-1].name == f"step-{outcome['step']:08d}"
    assert outcome["step"] > 3
