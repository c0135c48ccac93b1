"""A source that was changed is never taken for the one that was prepared, and one that was only moved or touched is."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from raygen.data.records.parts import Part, PartFile
from raygen.data.sources.files import EDGE_BYTES
from raygen.errors import DataError
from raygen.preparation import plan as planning
from raygen.preparation.sources import States
from tests.prepared import (
    Interrupted,
    Killed,
    digests,
    documents,
    image_job,
    kill,
    prepared,
    text_job,
    write_lines,
)
from tests.unit.data.images.test_pixels import write_idx


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "TEXT_PART", 5_000)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    for number in range(3):
        write_lines(tmp_path / "lines" / f"{number}.jsonl", documents(100, seed=number))
    return tmp_path


def edit(path: Path, old: str = "the", new: str = "eht") -> None:
    """Other content of the same size."""
    path.write_text(path.read_text().replace(old, new))


def test_other_content_of_the_same_size_is_other_data(base: Path) -> None:
    prepared(text_job(), base)
    edit(base / "lines" / "1.jsonl")
    with pytest.raises(DataError, match="other sources"):
        prepared(text_job(), base)


def test_a_copy_and_a_touched_file_are_the_same_data(base: Path) -> None:
    prepared(text_job(), base)
    shutil.copytree(base / "lines", base / "copy")
    (base / "lines" / "0.jsonl").touch()
    assert not prepared(text_job(), base).new
    copy = text_job(data__train={"sources": [{"uri": "copy", "format": "JsonLines"}]})
    assert not prepared(copy, base).new


def test_a_change_at_either_end_of_a_large_file_shows(tmp_path: Path) -> None:
    path = tmp_path / "lines" / "0.jsonl"
    write_lines(path, [f"{number} " + "word " * 40 for number in range(2000)])
    whole = path.read_bytes()
    assert len(whole) > 3 * EDGE_BYTES
    prepared(text_job(), tmp_path)
    for place in (20, len(whole) - 20):
        path.write_bytes(whole[:place] + b"W" + whole[place + 1 :])
        with pytest.raises(DataError, match="other sources"):
            prepared(text_job(), tmp_path)
    path.write_bytes(whole)
    assert not prepared(text_job(), tmp_path).new


def test_a_file_that_changes_while_data_is_prepared_is_named(base: Path) -> None:
    changed = base / "lines" / "2.jsonl"
    with pytest.raises(DataError, match="was changed while the data was being prepared") as caught:
        prepared(text_job(), base, Interrupted(lambda: edit(changed)))
    assert caught.value.where == str(changed)


def test_a_file_that_is_gone_is_named(base: Path) -> None:
    changed = base / "lines" / "2.jsonl"
    with pytest.raises(DataError, match="cannot be read"):
        prepared(text_job(), base, Interrupted(changed.unlink))


def test_what_a_change_breaks_is_told_as_a_change(base: Path) -> None:
    broken = base / "lines" / "2.jsonl"
    with pytest.raises(DataError, match="was changed while"):
        prepared(text_job(), base, Interrupted(lambda: broken.write_bytes(b"\x1f\x8b broken")))


def test_old_and_new_are_not_mixed(base: Path) -> None:
    """Of one that was stopped after its first part, when sources were changed before it goes on."""

    with pytest.raises(Killed):
        prepared(text_job(), base, Interrupted(kill))
    edit(base / "lines" / "0.jsonl")
    with pytest.raises(DataError, match="the beginning of data"):
        prepared(text_job(), base)
    shutil.rmtree(base / "prepared" / "work")
    found = prepared(text_job(), base).index
    other = text_job(preparation={"uri": "other", "shardMegabytes": 1, "shardsPerWindow": 2})
    assert prepared(other, base).index.fingerprint == found.fingerprint


def test_the_list_of_words_is_a_source_too(base: Path) -> None:
    (base / "words.txt").write_text("zebra\n")
    job = text_job(data__cleaning={"text": {"blockList": {"uri": "words.txt"}}})
    prepared(job, base)
    (base / "words.txt").write_text("which\n")
    with pytest.raises(DataError, match="other sources"):
        prepared(job, base)
    (base / "words.txt").write_text("zebra\n")
    assert not prepared(job, base).new


def test_labels_are_a_source_too(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    write_idx(tmp_path / "images", draw.integers(0, 256, (40, 8, 8)).astype(np.uint8))
    labels = (np.arange(40) % 4).astype(np.uint8)
    write_idx(tmp_path / "labels", labels)
    source = {"uri": "images", "format": "Idx", "labels": "labels"}
    job = image_job(data__train={"sources": [source]})
    prepared(job, tmp_path)
    write_idx(tmp_path / "labels", labels[::-1].copy())
    with pytest.raises(DataError, match="other sources"):
        prepared(job, tmp_path)


@pytest.mark.parametrize("uri", ["[ab]/x.jsonl", "**/x.jsonl", "./[ab]/x.jsonl", "../job/[ab]/x.jsonl"])
def test_data_is_the_same_however_the_job_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    """Its folder is where paths start from: "." if the job file is named without one."""
    base = tmp_path / "job"
    for number, folder in enumerate("ab"):
        write_lines(base / folder / "x.jsonl", documents(60, seed=number))
    cleaning = {"text": {"duplicates": {"type": "Exact"}}}
    job = text_job(data__train={"sources": [{"uri": uri, "format": "JsonLines"}]}, data__cleaning=cleaning)
    prepared(job, base)
    (base / "prepared").rename(base / "absolute")
    monkeypatch.chdir(base)
    prepared(job, Path())
    assert digests(base / "prepared") == digests(base / "absolute")
    assert digests(base / "prepared")["index.json"]
    assert str(tmp_path) not in (base / "prepared" / "index.json").read_text()


def test_a_data_set_on_the_hub_is_known_by_its_revision(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    revision = "a" * 40

    def builder(name: str, subset: str | None) -> SimpleNamespace:
        if not revision:
            raise ConnectionError("the hub is away")
        return SimpleNamespace(hash=f"{name}-{subset}-{revision}")

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset_builder=builder))
    document = {"uri": "hf://owner/name", "format": "HuggingFace", "contents": "Text", "subset": "small"}
    job = text_job(data__train={"sources": [document]})
    (source,) = job.spec.data.train.sources
    part = Part(0, (PartFile(source.uri, "train", 0),))

    def state() -> tuple[str, ...]:
        return States(job, tmp_path).of(part, source)

    assert state() == (f"owner/name-small-{revision}",)
    revision = ""
    # Where it cannot be told, reading says why.
    assert state() == ("",)
