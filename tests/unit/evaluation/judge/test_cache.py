"""A cache gives back what was kept, whatever was torn, and whoever wrote beside it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.errors import OutputError
from raygen.evaluation.judge.answers import Answer
from raygen.evaluation.judge.cache import Cache, NoAnswer
from tests.budget import examples

ANSWERS = st.builds(
    Answer,
    st.sampled_from(["1", "5", "A", "tie"]),
    st.text(),
    st.none() | st.floats(1, 5),
    st.none() | st.integers(1, 5),
)
OUTCOMES = ANSWERS | st.builds(NoAnswer, st.sampled_from(["InvalidAnswer", "Filtered"]), st.text())


@given(st.dictionaries(st.text(), OUTCOMES, max_size=8), st.integers(0, 400))
@examples(60)
def test_what_was_kept_is_there_again(
    tmp_path_factory: pytest.TempPathFactory, kept: dict[str, Answer | NoAnswer], cut: int
) -> None:
    folder = tmp_path_factory.mktemp("cache")
    with Cache(folder) as cache:
        for key, outcome in kept.items():
            cache.put(key, outcome, {"model": "m"})
    with Cache(folder) as cache:
        assert len(cache) == len(kept)
        assert all(cache.get(key) == outcome for key, outcome in kept.items())
    # Cut at any byte, all lines that are whole are there.
    for path in folder.iterdir():
        content = path.read_bytes()[: -cut or None]
        path.write_bytes(content)
        whole = dict(list(kept.items())[: content.count(b"\n") + content.endswith(b"}")])
        with Cache(folder) as cache:
            assert {key: cache.get(key) for key in kept if cache.get(key)} == whole


def test_each_writer_has_a_file_of_its_own(tmp_path: Path) -> None:
    first, second = Cache(tmp_path), Cache(tmp_path)
    first.put("a", Answer("1"), {})
    second.put("b", Answer("2"), {})
    second.put("a", Answer("5"), {})
    first.put("c", Answer("3"), {})
    first.close()
    second.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answers-00001.jsonl", "answers-00002.jsonl"]
    with Cache(tmp_path) as cache:
        assert [cache.get(key) for key in "abc"] == [Answer("1"), Answer("2"), Answer("3")]
        cache.put("a", Answer("4"), {})
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe",
        b"[]",
        b'{"key": 1}',
        b'{"key": "k"}',
        b'{"key": "k", "answer": {"choice": 4}}',
        b'{"key": "k", "answer": {"choice": "4", "explanation": "", "expected": "x", "likeliest": null}}',
        b'{"key": "k", "none": {"reason": "Unreachable", "detail": ""}}',
    ],
)
def test_a_line_that_is_none_of_ours_is_passed_over(tmp_path: Path, line: bytes) -> None:
    with Cache(tmp_path) as cache:
        cache.put("a", Answer("1"), {})
    (path,) = tmp_path.iterdir()
    path.write_bytes(line + b"\n" + path.read_bytes())
    with Cache(tmp_path) as cache:
        assert (len(cache), cache.get("a")) == (1, Answer("1"))


def test_what_a_failed_write_leaves_spoils_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write

    def full(file: int, line: bytes) -> int:
        write(file, line[:20])
        raise OSError(28, "No space left on device")

    with Cache(tmp_path) as cache:
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(OutputError, match="No space left on device"):
            cache.put("a", Answer("1"), {})
        monkeypatch.setattr(os, "write", write)
        cache.put("b", Answer("2"), {})
    with Cache(tmp_path) as cache:
        assert (cache.get("a"), cache.get("b")) == (None, Answer("2"))


def test_without_a_folder_answers_are_in_memory() -> None:
    with Cache(None) as cache:
        cache.put("a", Answer("1"), {})
        assert cache.get("a") == Answer("1")
