"""An offline judge that was trained in a second, once for all tests."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from raygen.evaluation.judge.offline import Amounts, LocalJudge, TrainReport, train_judge
from tests.unit.evaluation.judge.offline.tiny import tiny_corpus, tiny_encoder

SMALL = Amounts(sentences=40, pairs=80, talk=60, cases=30, held_out=12)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainReport]:
    path = tmp_path_factory.mktemp("judge") / "judge.safetensors"
    return path, train_judge(path, seed=3, corpus=tiny_corpus(), encoder=tiny_encoder(), amounts=SMALL)


@pytest.fixture(scope="session")
def judge(trained: tuple[Path, TrainReport]) -> LocalJudge:
    found = LocalJudge(trained[0]).trained
    # Embeddings from random weights say nothing of what a sentence is about.
    recognizer = replace(found.knowledge.recognizer, limit=math.inf)
    return LocalJudge.of(replace(found, knowledge=replace(found.knowledge, recognizer=recognizer)))
