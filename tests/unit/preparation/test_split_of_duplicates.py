"""The share of the validation split is the one that was asked for, however often a record is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from raygen.preparation import plan as planning
from raygen.preparation.card.observations import SHARE_TOLERANCE, observations
from raygen.preparation.cleaning import order_of
from raygen.preparation.encoding import limit_of
from tests.prepared import Shuffled, digests, opened, prepared, text_job, write_lines

COUNT = 2000
FRACTION = 0.1
DUPLICATES = [{"type": "Exact"}, {"type": "MinHash"}]


def texts(count: int = COUNT) -> list[str]:
    """Texts that have nothing in common, all of one length."""
    return [" ".join(f"w{number:05d}{place}" for place in range(8)) for number in range(count)]


def copied(base: Path, copies: int) -> Path:
    """The same texts in several files."""
    for number in range(copies):
        write_lines(base / "lines" / f"{number}.jsonl", texts())
    return base


def job(duplicates: dict[str, Any]) -> Any:
    return text_job(data__cleaning={"text": {"duplicates": duplicates}})


def rows(base: Path, duplicates: dict[str, Any], executor: Any = None) -> tuple[int, int]:
    """Documents of training and of validation."""
    index = prepared(job(duplicates), base, executor).index
    return (
        sum(shard.rows for component in index.train for shard in component.shards),
        sum(shard.rows for shard in index.validation),
    )


@pytest.mark.parametrize("duplicates", DUPLICATES, ids=lambda each: each["type"])
def test_copies_give_a_record_no_more_chances(tmp_path: Path, duplicates: dict[str, Any]) -> None:
    once = rows(copied(tmp_path / "once", 1), duplicates)
    often = rows(copied(tmp_path / "often", 6), duplicates)
    assert sum(once) == sum(often) == COUNT
    assert often[1] / COUNT == pytest.approx(FRACTION, abs=0.02)
    # The first file is the one that is kept, and its records are drawn as if there were no other.
    assert once == often


def test_the_copy_that_is_kept_decides_by_its_own_draw(tmp_path: Path) -> None:
    data = opened(job({"type": "Exact"}), copied(tmp_path, 3))
    index = prepared(job({"type": "Exact"}), tmp_path).index
    held = 0
    at = 0
    for text in texts():
        key = f"train/0/0.jsonl#{at}"
        held += order_of(f"validation:{key}") < limit_of(FRACTION)
        at += len(json.dumps({"text": text})) + 1
    data.close()
    assert sum(shard.rows for shard in index.validation) == held


def test_who_does_the_tasks_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "TEXT_PART", 100_000)
    copied(tmp_path, 4)
    rows(tmp_path, {"type": "MinHash"})
    (tmp_path / "prepared").rename(tmp_path / "before")
    rows(tmp_path, {"type": "MinHash"}, Shuffled(3))
    assert digests(tmp_path / "prepared") == digests(tmp_path / "before")


def test_the_splits_stay_apart(tmp_path: Path) -> None:
    near = [f"{text} and more" for text in texts(600)]
    write_lines(tmp_path / "lines" / "a.jsonl", texts(600))
    write_lines(tmp_path / "lines" / "b.jsonl", near)
    index = prepared(job({"type": "MinHash", "threshold": 0.5}), tmp_path).index
    assert index.counts["certificate"]["holds"]
    assert index.counts["certificate"]["validation"] == pytest.approx(60, abs=20)


def test_a_source_of_its_own_is_kept_whole(tmp_path: Path) -> None:
    write_lines(tmp_path / "lines" / "a.jsonl", texts(300))
    write_lines(tmp_path / "held" / "b.jsonl", texts(100))
    held = {"sources": [{"uri": "held", "format": "JsonLines"}]}
    cleaning = {"text": {"duplicates": {"type": "Exact"}}}
    index = prepared(text_job(data__validation=held, data__cleaning=cleaning), tmp_path).index
    assert sum(shard.rows for shard in index.validation) == 100
    assert sum(shard.rows for component in index.train for shard in component.shards) == 200


def test_a_share_that_is_far_off_is_told(tmp_path: Path) -> None:
    # One long document has most of the text, and is drawn or not.
    write_lines(tmp_path / "lines" / "a.jsonl", [*texts(150), "x " * 200_000])
    index = prepared(text_job(), tmp_path).index
    (told,) = observations(index, text_job())
    assert "validation.fraction asks for 10.00%" in told
    card = json.loads((tmp_path / "prepared" / "card.json").read_text())
    assert card["observations"] == [told]
    assert told[1:] in (tmp_path / "prepared" / "card.html").read_text()


def test_a_share_that_is_about_right_is_not_told(tmp_path: Path) -> None:
    index = prepared(text_job(), copied(tmp_path, 1)).index
    assert observations(index, text_job()) == ()
    other = text_job(data__validation={"fraction": FRACTION * (1 + 2 * SHARE_TOLERANCE)})
    assert len(observations(index, other)) == 1
    assert json.loads((tmp_path / "prepared" / "card.json").read_text())["observations"] == []
