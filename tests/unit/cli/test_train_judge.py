"""`raygen evaluate train-judge`, on small texts and an encoder with weights from a seed."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from raygen.cli.main import main
from raygen.evaluation.judge import Case, offline
from tests.unit.evaluation.judge.offline.conftest import SMALL
from tests.unit.evaluation.judge.offline.tiny import tiny_corpus, tiny_encoder


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    small = partial(offline.train_judge, corpus=tiny_corpus(), encoder=tiny_encoder(), amounts=SMALL)
    monkeypatch.setattr(offline, "train_judge", small)


def test_a_judge_is_trained_and_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "judge.safetensors"
    assert main(["evaluate", "train-judge", "--to", str(target), "--seed", "3", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    judge = offline.LocalJudge(target)
    assert told["file"] == str(target)
    assert told["sha256"] == judge.sha256
    assert told["bytes"] == target.stat().st_size
    scores = judge.score([Case("What is old?", "The bridge is old.")], ["Fluency"]).scores
    assert scores[0].score in range(1, 6)
    assert main(["evaluate", "train-judge", "--to", str(target), "--seed", "3"]) == 0
    assert f"SHA-256       {judge.sha256}" in capsys.readouterr().out


def test_a_folder_that_is_not_there_is_told_before_anything_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "train-judge", "--to", str(tmp_path / "none" / "judge")]) == 2
    said = capsys.readouterr().err
    assert "there is no such folder" in said
    assert "Traceback" not in said
