"""A folder is filled by one recipe at a time, and holds what its index names and nothing else."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from raygen.errors import DataError, InputError, OutputError
from raygen.preparation import plan as planning
from raygen.preparation.executors import InProcess
from raygen.preparation.pipeline import Prepared, prepare
from raygen.storage import LocalStorage
from tests.prepared import Interrupted, Killed, digests, documents, kill, prepared, text_job, write_lines


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three parts and several ranges."""
    monkeypatch.setattr(planning, "TEXT_PART", 20_000)
    monkeypatch.setattr(planning, "RANGE", 20_000)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    for number in range(3):
        write_lines(tmp_path / "lines" / f"{number}.jsonl", documents(100, seed=number))
    return tmp_path


def elsewhere(**changes: Any) -> Any:
    """The same job with another folder."""
    return text_job(**changes, preparation={"uri": "other", "shardMegabytes": 1, "shardsPerWindow": 2})


CHARACTERS = {"data__tokenizer": {"type": "Character"}}


def test_another_recipe_is_refused_while_one_is_at_work(base: Path) -> None:
    refused: list[DataError] = []

    def other() -> None:
        with pytest.raises(DataError, match="the beginning of data") as caught:
            prepared(text_job(**CHARACTERS), base)
        refused.append(caught.value)

    found = prepared(text_job(), base, Interrupted(other, after=4))
    assert refused[0].where == str(base / "prepared")
    assert f"delete {base}/prepared/work" in refused[0].remedy
    assert prepared(elsewhere(), base).index == found.index
    assert digests(base / "prepared") == digests(base / "other")


def test_what_a_killed_one_left_goes_on_or_is_removed_by_hand(base: Path) -> None:
    tasks = 8
    with pytest.raises(Killed):
        prepared(text_job(), base, Interrupted(kill, after=tasks))
    assert list((base / "prepared" / "train").rglob("*.parquet"))
    with pytest.raises(DataError, match="the beginning of data"):
        prepared(text_job(**CHARACTERS), base)
    shutil.rmtree(base / "prepared" / "work")
    # Of the first one, a shard that the second does not have, and files that are nobody's.
    left = base / "prepared" / "train" / "000" / "00099-00000.parquet"
    left.write_bytes(b"old")
    (base / "prepared" / "quarantine").mkdir()
    (base / "prepared" / "quarantine" / "000001.jsonl").write_bytes(b"{}\n")
    own = base / "prepared" / "train" / "notes.txt"
    own.write_text("mine")
    prepared(text_job(**CHARACTERS), base)
    assert own.read_text() == "mine"
    own.unlink()
    prepared(elsewhere(**CHARACTERS), base)
    assert digests(base / "prepared") == digests(base / "other")


def test_a_mistake_can_be_corrected_in_the_same_folder(base: Path) -> None:
    path = base / "lines" / "2.jsonl"
    whole = path.read_text()
    path.write_text(whole + "no JSON\n" * 50)
    with pytest.raises(DataError, match="are broken"):
        prepared(text_job(), base)
    assert list((base / "prepared" / "quarantine").iterdir())
    path.write_text(whole)
    prepared(text_job(), base)
    assert not list((base / "prepared").rglob("quarantine/*.jsonl"))
    prepared(elsewhere(), base)
    assert digests(base / "prepared") == digests(base / "other")


@pytest.mark.parametrize("after", [1, 3, 4, 6, 7, 9])
def test_of_two_equal_ones_the_second_finds_what_the_first_made(base: Path, after: int) -> None:
    first: list[Prepared] = []
    executor = Interrupted(lambda: first.append(prepared(text_job(), base)), after)
    second = prepared(text_job(), base, executor)
    assert executor.tasks == after
    assert first[0].new
    assert second.index == first[0].index
    assert not (base / "prepared" / "work").exists()
    prepared(elsewhere(), base)
    assert digests(base / "prepared") == digests(base / "other")


def test_a_shard_that_is_gone_is_written_again(base: Path) -> None:
    with pytest.raises(Killed):
        prepared(text_job(), base, Interrupted(kill, after=7))
    shard = next(iter((base / "prepared" / "train").rglob("*.parquet")))
    shard.unlink()
    prepared(text_job(), base)
    prepared(elsewhere(), base)
    assert digests(base / "prepared") == digests(base / "other")


def test_no_index_names_a_shard_that_is_not_there(base: Path) -> None:
    def lose() -> None:
        next(iter((base / "prepared" / "train").rglob("*.parquet"))).unlink()

    with pytest.raises(DataError, match="changed or deleted before the data was whole"):
        prepared(text_job(), base, Interrupted(lose, after=8))
    assert not (base / "prepared" / "index.json").exists()
    assert prepared(text_job(), base).new


def test_work_that_cannot_be_deleted_is_told_and_no_failure(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(self: LocalStorage, prefix: str) -> None:
        raise OutputError("cannot be deleted: permission is denied", where=f"{self.uri}/{prefix}")

    told: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(LocalStorage, "delete_prefix", refused)
        assert prepare(text_job(), base, InProcess(), told.append).new
        assert not prepared(text_job(), base).new
    (notice,) = told
    assert notice.startswith(f"the data is prepared, and {base}/prepared/work could not be deleted")
    assert not prepared(text_job(), base).new
    assert not (base / "prepared" / "work").exists()


@pytest.mark.parametrize("masked", [False, True])
def test_what_is_kept_of_broken_records_is_masked_as_texts_are(base: Path, masked: bool) -> None:
    with (base / "lines" / "1.jsonl").open("ab") as file:
        file.write(b'{"text": "write to ann@example.org, \xff or so\n')
        file.write(b"ann@example.org " * 10_000 + b"\n")
        file.write("ann@example.org\n".encode("utf-16-le") + b"\n")
    cleaning = {"text": {"masking": {}} if masked else {}, "maxBrokenShare": 0.5}
    prepared(text_job(data__cleaning=cleaning), base)
    texts = [path.read_text() for path in (base / "prepared" / "quarantine").iterdir()]
    kept = [base64.b64decode(json.loads(line)["content"]) for text in texts for line in text.splitlines()]
    assert len(kept) >= 3
    whole = b"".join(kept).replace(b"\0", b"")
    assert (b"ann@" in whole, b"[EMAIL]" in whole) == (not masked, masked)


def test_work_that_is_deleted_meanwhile_is_told(base: Path) -> None:
    def delete() -> None:
        shutil.rmtree(base / "prepared" / "work")

    with pytest.raises(InputError, match="deleted while the data was being prepared") as caught:
        prepared(text_job(), base, Interrupted(delete, after=2))
    assert "Run the same again" in caught.value.remedy
    assert prepared(text_job(), base).new


def test_what_a_writer_that_was_killed_has_begun_is_removed(base: Path) -> None:
    program = "from raygen.storage.temporary import temporary_name; print(temporary_name())"
    named = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    left = base / "prepared" / named.stdout.strip()
    left.parent.mkdir()
    left.write_text("the beginning of an index")
    prepared(text_job(), base)
    assert not left.exists()
