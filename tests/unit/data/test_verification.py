"""A run's order is computed again without training; what was changed is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from raygen.data.order_hash import OrderRecord, record_order
from raygen.data.readers import open_data
from raygen.data.shards.index import Index, Shard, read_index
from raygen.data.verification import verify
from raygen.errors import DataError
from raygen.spec import ResolvedJob, parse, resolve
from raygen.storage import LocalStorage
from tests.jobs import job_document, write_text
from tests.prepared import documents, opened, text_job, write_lines


@pytest.fixture
def base(tmp_path: Path) -> Path:
    write_lines(tmp_path / "lines" / "0.jsonl", documents(400))
    return tmp_path


def recorded(job: ResolvedJob, base: Path) -> OrderRecord:
    data = opened(job, base)
    try:
        return record_order(job, data, 500)
    finally:
        data.close()


def index_of(base: Path) -> Index:
    index = read_index(LocalStorage(base / "prepared"))
    assert index is not None
    return index


@pytest.mark.parametrize("contents", [False, True])
def test_what_was_not_changed_is_equal(base: Path, contents: bool) -> None:
    order = recorded(text_job(), base)
    found = verify(text_job(), base, order, {}, contents=contents)
    assert found.found == order
    assert not found.differences
    assert found.data == str(base / "prepared")
    assert found.shards == (2 if contents else None)


def test_another_seed_differs_in_seed_and_hash(base: Path) -> None:
    found = verify(text_job(training__seed=9), base, recorded(text_job(), base), {})
    assert next((each.what, each.recorded, each.found) for each in found.differences) == ("seed", 1, 9)
    assert [each.what for each in found.differences] == ["seed", "sha256"]


def test_another_context_differs_in_what_it_changes(base: Path) -> None:
    found = verify(text_job(model__transformer__contextLength=8), base, recorded(text_job(), base), {})
    assert [each.what for each in found.differences] == ["samplesPerEpoch", "contextLength", "sha256"]


def test_other_data_at_the_same_place_differs_in_its_fingerprint(base: Path) -> None:
    order = recorded(text_job(), base)
    (base / "prepared").rename(base / "before")
    write_lines(base / "lines" / "0.jsonl", documents(400, seed=1))
    opened(text_job(), base).close()
    assert "fingerprint" in [each.what for each in verify(text_job(), base, order, {}).differences]


def test_a_shard_that_was_changed_is_named(base: Path) -> None:
    order = recorded(text_job(), base)
    shard = index_of(base).train[0].shards[0]
    path = base / "prepared" / shard.name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert not verify(text_job(), base, order, {}).differences
    (difference,) = verify(text_job(), base, order, {}, contents=True).differences
    assert difference.what == shard.name
    assert "SHA-256 is another one" in str(difference.found)
    path.unlink()
    (difference,) = verify(text_job(), base, order, {}, contents=True).differences
    assert "not there" in str(difference.found)


def rewritten(base: Path, change: Callable[[Shard], Shard]) -> None:
    """Gives all shards of the training split other words in the index, whose fingerprint stays as it was written."""
    path = base / "prepared" / "index.json"
    document: dict[str, Any] = json.loads(path.read_text())
    for component in document["train"]:
        component["shards"] = [change(Shard(**shard)).__dict__ for shard in component["shards"]]
    path.write_text(json.dumps(document))


def test_an_index_that_was_altered_is_refused(base: Path) -> None:
    order = recorded(text_job(), base)
    rewritten(base, lambda shard: replace(shard, rows=shard.rows - 1))
    with pytest.raises(DataError, match="its fingerprint is not that of its shards"):
        verify(text_job(), base, order, {})


def test_a_shard_and_its_line_in_the_index_that_were_changed_together_are_found_out(base: Path) -> None:
    order = recorded(text_job(), base)
    validation = index_of(base).validation[0]
    content = (base / "prepared" / validation.name).read_bytes()
    (base / "prepared" / index_of(base).train[0].shards[0].name).write_bytes(content)
    # The fingerprint covers values, not bytes: it does not notice.
    rewritten(base, lambda shard: replace(shard, bytes=len(content), sha256=validation.sha256))
    assert not verify(text_job(), base, order, {}).differences
    (difference,) = verify(text_job(), base, order, {}, contents=True).differences
    assert "other values than its index says" in str(difference.found)


def test_data_in_memory_is_verified_without_reading_it_and_with(tmp_path: Path) -> None:
    text = write_text(tmp_path / "text.txt")
    job = resolve(parse(job_document()))
    data = open_data(job, tmp_path, {})
    order, files = record_order(job, data), data.files()
    text.write_text(text.read_text().replace("fox", "cat"))
    assert verify(job, tmp_path, order, files).found == order
    other = resolve(parse(job_document(training__seed=2)))
    assert [each.what for each in verify(other, tmp_path, order, files).differences] == ["seed", "sha256"]
    changed = verify(job, tmp_path, order, files, contents=True)
    assert [each.what for each in changed.differences] == ["fingerprint", "sha256"]
    text.unlink()
    assert not verify(job, tmp_path, order, files).differences
