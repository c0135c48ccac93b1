"""Prepared documents as samples: in windows across them, in windows that keep them apart, and one by one."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from raygen.data.protocol import Samples
from raygen.data.shards.dataset import PreparedData
from raygen.data.shards.files import Documents
from raygen.data.shards.index import Shard
from raygen.data.shards.text import Cut, never_sampled
from raygen.preparation.executors import InProcess
from raygen.preparation.pipeline import prepare
from raygen.spec import ResolvedJob, parse, resolve
from raygen.spec.contents import IGNORED
from tests.budget import examples
from tests.jobs import job_document

CONTEXT, END = 16, 256
DOCUMENTS = [f"{number}" * (1 + number % 23) for number in range(1, 120)]


def job(packing: str, **changes: Any) -> ResolvedJob:
    return resolve(
        parse(
            job_document(
                data__train__sources=[{"uri": "train.jsonl", "format": "JsonLines"}],
                data__validation={"sources": [{"uri": "validation.jsonl", "format": "JsonLines"}]},
                data__tokenizer={"type": "Byte"},
                data__packing=packing,
                preparation={"uri": "prepared", "shardMegabytes": 1},
                **changes,
            )
        )
    )


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("documents")
    for split in ("train", "validation"):
        lines = (json.dumps({"text": text}) + "\n" for text in DOCUMENTS)
        (folder / f"{split}.jsonl").write_text("".join(lines))
    prepare(job("Stream"), folder, InProcess())
    return folder


def opened(base: Path, packing: str) -> PreparedData:
    return PreparedData(job(packing), base)


def validation(data: PreparedData) -> Samples:
    batches = list(data.validation_batches(7))
    assert {len(batch) for batch in batches[:-1]} == {7}
    arrays = {name: np.concatenate([batch.arrays[name] for batch in batches]) for name in batches[0].arrays}
    weights = [batch.weights for batch in batches if batch.weights is not None]
    return Samples(arrays, np.concatenate(weights) if weights else None)


def epoch(data: PreparedData) -> Samples:
    return data.train_batch(range(data.samples_per_epoch))


def test_a_single_document_begins_and_ends_with_the_end_of_text(base: Path) -> None:
    data = opened(base, "Single")

    for samples in (epoch(data), validation(data)):
        found = Counter()
        assert samples.weights is not None
        rows = zip(samples.arrays["inputs"], samples.arrays["targets"], samples.weights, strict=True)
        for inputs, targets, weight in rows:
            count = int(np.count_nonzero(targets != IGNORED))
            assert (inputs[0], weight) == (END, count)
            assert np.array_equal(inputs[1:count], targets[: count - 1])
            assert (targets[count:] == IGNORED).all()
            found[bytes(token for token in targets[:count].tolist() if token != END)] += 1
        assert found == Counter(text.encode()[:CONTEXT] for text in DOCUMENTS)
    data.close()


def test_documents_that_are_cut_off_are_counted(base: Path) -> None:
    longer = sum(len(text) + 1 > CONTEXT for text in DOCUMENTS)

    (remark,) = opened(base, "Single").remarks

    assert str(remark) == f"{longer} documents converted: longer than contextLength 16, and cut off there"
    assert opened(base, "Documents").remarks == opened(base, "Stream").remarks
    assert not [remark for remark in opened(base, "Stream").remarks if remark.action == "Converted"]


@pytest.mark.parametrize("split", [epoch, validation])
def test_packed_documents_are_the_stream_with_numbers(base: Path, split: Any) -> None:
    plain, packed = split(opened(base, "Stream")), split(opened(base, "Documents"))

    assert "documents" not in plain.arrays
    assert packed.weights is None
    for name in plain.arrays:
        assert np.array_equal(plain.arrays[name], packed.arrays[name]), name
    numbers, real = packed.arrays["documents"], packed.arrays["targets"] != IGNORED
    expected = np.cumsum(packed.arrays["inputs"] == END, axis=1)
    expected -= expected[:, :1]
    assert numbers.dtype == np.int64
    assert np.array_equal(numbers[real], expected[real])
    assert numbers.max() > 1


def test_validation_counts_every_byte_that_is_predicted(base: Path) -> None:
    whole = sum(len(text.encode()) for text in DOCUMENTS)

    assert validation(opened(base, "Documents")).arrays["bytes"].sum() == whole - 1
    cut = sum(min(len(text.encode()), CONTEXT) for text in DOCUMENTS)
    assert validation(opened(base, "Single")).arrays["bytes"].sum() == cut


@examples(100)
@given(
    documents=st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=12),
    end=st.sampled_from([9, None]),
)
def test_a_document_begins_with_the_end_before_it_or_with_itself(
    documents: list[tuple[int, bool]], end: int | None
) -> None:
    """The lengths of pieces, and whether each is the last of its document."""
    tokens: list[int] = []
    offsets, expected = [0], set()
    for length, whole in documents:
        piece = [1] * length + ([end] if whole and end is not None else [])
        if piece and (not tokens or tokens[-1] != end):
            expected.add(len(tokens))
        tokens += piece
        offsets.append(len(tokens))
    expected |= {place for place, token in enumerate(tokens) if token == end}
    held = Documents(np.array(tokens, dtype="<u2"), np.array(offsets))

    first: NDArray[np.bool_] = Cut(4, "Documents", end).first_tokens(held)

    assert np.flatnonzero(first).tolist() == sorted(expected | ({0} if tokens else set()))


def shard(units: int, name: str = "train/000/a.parquet") -> Shard:
    return Shard(name, 1, units, 0, "", "")


@examples(200)
@given(st.integers(1, 9), st.integers(0, 60))
def test_unused_tokens_are_those_that_no_epoch_reaches(context: int, units: int) -> None:
    cut = Cut(context, "Stream")
    seen = {
        token
        for start in range(context)
        for sample in range(cut.samples(shard(units)))
        for token in range(start + sample * context, start + (sample + 1) * context + 1)
    }
    assert not seen or max(seen) < units
    assert cut.unused(shard(units)) == units - len(seen)


def test_what_no_sample_reaches_is_said() -> None:
    shards = [shard(31, "a"), shard(32, "b"), shard(1, "c"), shard(70, "d")]
    assert [str(remark) for remark in never_sampled(shards, Cut(16, "Stream"))] == [
        "2 shards skipped: too short for a sample, which takes two contexts, 32 tokens; they hold 32 tokens in all (a, c)",
        "6 tokens skipped: of 134, at ends of shards that no sample reaches",
    ]
    assert not list(never_sampled([shard(32)], Cut(16, "Documents")))


def test_a_data_set_says_what_no_sample_reaches(base: Path) -> None:
    data = opened(base, "Stream")
    (listed,) = (one for one in data.shards() if one.name.startswith("train/"))
    assert [remark.count for remark in data.remarks] == [listed.units % CONTEXT]
    assert not [remark for remark in opened(base, "Single").remarks if remark.action == "Skipped"]
