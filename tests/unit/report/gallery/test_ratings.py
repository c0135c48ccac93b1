"""Ratings read back: what raters chose becomes comparisons, and files that are not theirs are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from raygen.errors import DataError
from raygen.evaluation.ratings.strength import strengths
from raygen.report.gallery.blind import Key, blind_page
from raygen.report.gallery.ratings import (
    Rater,
    checked_key,
    rater_agreement,
    read_key,
    read_raters,
    read_ratings,
)

SETS = {name: [f"{name} {number}" for number in range(12)] for name in ("new", "old")}


@pytest.fixture
def key() -> Key:
    return blind_page(SETS, seed=5, title="t")[1]


def saved(
    folder: Path, key: Key, rater: str = "Ada", *, better: str = "new", first: int = 0, **changes: Any
) -> Path:
    """A file as the page writes it, of one who prefers one model, but for a tie at the first pair."""
    answers = [
        {"pair": pair["pair"], "choice": "left" if pair["left"] == better else "right"}
        for pair in key["pairs"][first:]
    ]
    answers[0]["choice"] = "tie"
    document = {
        "format": "raygen ratings",
        "version": 1,
        "page": key["page"],
        "rater": rater,
        "answers": answers,
    }
    path = folder / f"{len(list(folder.iterdir()))}.json"
    path.write_text(json.dumps(document | changes))
    return path


def test_what_raters_chose_becomes_strengths(key: Key, tmp_path: Path) -> None:
    games = read_ratings([saved(tmp_path, key), saved(tmp_path, key, "Bo")], key)
    assert len(games) == 24
    assert sum(one.first_share == 0.5 for one in games) == 2
    assert all({one.first, one.second} == {"new", "old"} for one in games)
    assert all(one.first_share == (one.first == "new") for one in games if one.first_share != 0.5)
    found = strengths(games, resamples=200)
    assert list(found) == ["new", "old"]
    assert found["new"].low > 0 > found["old"].high
    assert len(read_ratings(str(saved(tmp_path, key)), key)) == 12


def test_the_key_may_go_by_a_file(key: Key, tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    path.write_text(json.dumps(key))
    assert read_key(path) == key
    assert read_ratings(saved(tmp_path, key), read_key(path)) == read_ratings(saved(tmp_path, key), key)


def test_one_who_saved_twice_counts_once(key: Key, tmp_path: Path) -> None:
    files = [saved(tmp_path, key), saved(tmp_path, key)]
    assert len(read_ratings(files, key)) == 12
    with pytest.raises(DataError, match=r"'Ada' rated pair \w+ twice, as \w+ and as \w+"):
        read_ratings([*files, saved(tmp_path, key, first=1, better="old")], key)


def test_raters_agree_as_far_as_they_do(key: Key, tmp_path: Path) -> None:
    files = [
        saved(tmp_path, key, "Ada"),
        saved(tmp_path, key, "Bo"),
        saved(tmp_path, key, "Cy", better="old", first=2),
    ]
    raters = read_raters(files, key)
    assert [one.name for one in raters] == ["Ada", "Bo", "Cy"]
    assert raters[0].left_share == pytest.approx(0.5, abs=0.06)
    found = rater_agreement(raters, resamples=100)
    same, opposite = found["Ada", "Bo"], found["Ada", "Cy"]
    assert same.exact is not None
    assert (same.exact.value, same.count) == (1.0, 12)
    assert opposite.kendall is not None
    assert opposite.kendall.value < -0.8
    assert (opposite.count, opposite.left_out) == (10, 2)
    assert Rater("D", {"a": "tie"}).left_share is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "other"}, "not a file of ratings"),
        ({"version": 2}, "not a file of ratings"),
        ({"version": True}, "not a file of ratings"),
        ({"more": 1}, "not a file of ratings"),
        ({"page": "0" * 64}, "another page"),
        ({"rater": " "}, "name of the rater"),
        ({"rater": 3}, "name of the rater"),
        ({"rater": "x" * 101}, "name of the rater"),
        ({"answers": {}}, "not a list"),
        ({"answers": [["a", "left"]]}, "not a pair and a choice"),
        ({"answers": [{"pair": "a", "choice": "left", "more": 1}]}, "not a pair and a choice"),
        ({"answers": [{"pair": "a", "choice": "left"}]}, "does not have: 'a'"),
        ({"answers": [{"pair": [], "choice": "left"}]}, "does not have"),
        ({"answers": []}, "ratings are empty"),
    ],
)
def test_files_that_are_not_of_this_page_are_refused(
    key: Key, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read_ratings(saved(tmp_path, key, **changes), key)


def test_answers_that_are_not_choices_are_refused(key: Key, tmp_path: Path) -> None:
    code = key["pairs"][0]["pair"]
    for choice in ("both", 1, None, ["left"]):
        path = saved(tmp_path, key, answers=[{"pair": code, "choice": choice}])
        with pytest.raises(DataError, match="not left, tie or right"):
            read_ratings(path, key)
    path = saved(tmp_path, key, answers=[{"pair": code, "choice": "left"}] * 2)
    with pytest.raises(DataError, match="answered twice"):
        read_ratings(path, key)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"a": 1, "a": 2}', b"9" * 10_000],
    ids=["empty", "cut off", "not UTF-8", "deep", "a key twice", "a huge number"],
)
def test_damaged_files_are_refused(key: Key, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ratings.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match="not JSON") as caught:
        read_ratings(path, key)
    assert caught.value.where == str(path)
    assert caught.value.remedy


def test_files_that_cannot_be_read_are_refused(
    key: Key, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_ratings(tmp_path / "missing.json", key)
    with pytest.raises(DataError, match="cannot be read"):
        read_ratings(tmp_path, key)
    monkeypatch.setattr("raygen.report.gallery.ratings.MAX_FILE_BYTES", 10)
    with pytest.raises(DataError, match="more than 10 bytes"):
        read_ratings(saved(tmp_path, key), key)


def test_what_is_no_key_is_refused(key: Key) -> None:
    pair = key["pairs"][0]
    for wrong in (
        None,
        {},
        {**key, "version": 2},
        {**key, "page": 1},
        {**key, "pairs": []},
        {**key, "pairs": [{"pair": "a"}]},
        {**key, "pairs": [{**pair, "sample": "1"}]},
        {**key, "pairs": [{**pair, "left": None}]},
        {**key, "pairs": [pair, pair]},
        {**key, "pairs": [{**pair, "left": "new", "right": "new"}]},
    ):
        with pytest.raises(DataError, match="key"):
            checked_key(wrong)
