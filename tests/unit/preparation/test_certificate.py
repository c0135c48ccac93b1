"""What a data set says of its splits holds, also where the search for duplicates has missed some."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raygen.data.cleaning.duplicates import Duplicates
from raygen.errors import DataError
from raygen.preparation import duplicates
from tests.prepared import documents, prepared, text_job, write_lines

CLEANING = {"text": {"duplicates": {"type": "MinHash"}}}
SHARED = 5


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Training has five texts of validation, each with one more word."""
    texts = [text.strip() for text in documents(300, seed=1, words=200) if len(text) > 200]
    held = [text.strip() for text in documents(60, seed=2, words=200) if len(text) > 200]
    write_lines(tmp_path / "lines" / "a.jsonl", [*texts, *(f"{text} more" for text in held[:SHARED])])
    write_lines(tmp_path / "held" / "b.jsonl", held)
    return tmp_path


def job() -> Any:
    held = {"sources": [{"uri": "held", "format": "JsonLines"}]}
    return text_job(data__validation=held, data__cleaning=CLEANING)


def blind(*arguments: Any) -> Duplicates:
    """A search that finds nothing."""
    del arguments
    nothing = np.zeros(0, np.int64)
    return Duplicates(nothing, nothing, np.zeros(0))


def test_what_the_search_missed_is_left_out_of_training_and_told(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = prepared(job(), base).index
    assert found.counts["certificate"]["holds"]
    assert found.counts["remarks"] == []
    (base / "prepared").rename(base / "before")
    monkeypatch.setattr(duplicates, "find_duplicates", blind)
    again = prepared(job(), base).index
    assert again.fingerprint == found.fingerprint
    assert again.counts["certificate"] == found.counts["certificate"]
    assert again.counts["cleaning"]["dropped"] == found.counts["cleaning"]["dropped"] == SHARED
    assert again.counts["cleaning"]["filters"]["duplicates"]["dropped"] == SHARED
    (remark,) = again.counts["remarks"]
    assert f"{SHARED} records skipped: it is like one of validation" in remark


def test_a_certificate_that_does_not_hold_ends_the_work(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = duplicates.certificate

    def never(*arguments: Any) -> Any:
        return replace(real(*arguments), highest=0.9)

    monkeypatch.setattr(duplicates, "certificate", never)
    with pytest.raises(DataError, match=r"greatest similarity of two others is 0\.90") as caught:
        prepared(job(), base)
    assert caught.value.remedy
    assert not (base / "prepared" / "index.json").exists()
