"""The examples of docs/offline-judge.md, as they stand there, with a small encoder and small texts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from raygen.evaluation.judge.offline.training import train
from raygen.evaluation.text.embeddings import Encoder
from tests.unit.evaluation.judge.offline.conftest import SMALL
from tests.unit.evaluation.judge.offline.tiny import tiny_corpus, tiny_encoder

PAGE = (Path(__file__).resolve().parents[5] / "docs" / "offline-judge.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_runs(
    number: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train, "packaged_corpus", tiny_corpus)
    monkeypatch.setattr(train, "Amounts", lambda: SMALL)
    monkeypatch.setattr(Encoder, "packaged", tiny_encoder)
    exec(compile(EXAMPLES[number], "docs/offline-judge.md", "exec"), {})  # noqa: S102 (our own page)
    assert capsys.readouterr().out.splitlines()


def test_there_are_two_examples() -> None:
    assert len(EXAMPLES) == 2
