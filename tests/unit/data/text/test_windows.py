from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.data.order import lanes_of
from raygen.data.text.windows import IGNORED, TextData, open_data, open_domain, split_at
from raygen.errors import DataError
from raygen.spec import TrainingJob, parse, resolve
from tests.budget import examples
from tests.jobs import job_document

CONTEXT = 16


def job(**changes: Any) -> TrainingJob:
    """A small job that samples nothing, unless asked to, since prompts must fit the text."""
    return resolve(parse(job_document(**{"evaluation__samples": None} | changes)))


def numbered(count: int) -> str:
    """Distinct characters, so that a token says where in the text it is."""
    return "".join(chr(0x4E00 + i) for i in range(count))


def data_of(base: Path, text: str, **changes: Any) -> TextData:
    (base / "text.txt").write_text(text, encoding="utf-8", newline="")
    return open_data(job(**changes), base, {})


@pytest.fixture
def unsplit(tmp_path: Path) -> TextData:
    """10 windows and 8 tokens over; the token at a place is the place's number; a validation split of 3."""
    (tmp_path / "validation.txt").write_text(numbered(3), encoding="utf-8")
    return data_of(
        tmp_path, numbered(CONTEXT * 11 + 8), data__validation={"sources": [{"uri": "validation.txt"}]}
    )


def test_targets_are_the_next_tokens(base: Path) -> None:
    data = open_data(job(), base, {})

    batch = data.train_batch(range(7)).arrays

    assert batch["inputs"].shape == batch["targets"].shape == (7, CONTEXT)
    assert np.array_equal(batch["inputs"][:, 1:], batch["targets"][:, :-1])
    text = (base / "text.txt").read_text()
    for row in range(7):
        window = [*batch["inputs"][row], batch["targets"][row, -1]]
        assert data.domain.decode(window) in text


def test_an_epoch_sees_every_token_at_most_once_and_all_but_the_ends(unsplit: TextData) -> None:
    samples = unsplit.samples_per_epoch
    starts = set()

    assert samples == 10
    for epoch in range(40):
        seen = unsplit.train_batch(range(epoch * samples, (epoch + 1) * samples)).arrays["inputs"].flatten()
        start = int(seen.min())
        assert np.array_equal(np.sort(seen), np.arange(start, start + samples * CONTEXT))
        starts.add(start)
    assert starts == set(range(CONTEXT)), "other windows in every epoch, from any start"


positions_of_batches = st.builds(
    lambda first, size: range(first, first + size), st.integers(0, 52), st.integers(1, 8)
)


@examples(30)
@given(batches=st.lists(positions_of_batches, min_size=1, max_size=5), seed=st.integers(0, 2**53 - 1))
def test_a_batch_depends_on_seed_and_positions_alone(
    tmp_path_factory: pytest.TempPathFactory, batches: list[range], seed: int
) -> None:
    base = tmp_path_factory.mktemp("data")
    asked = data_of(base, numbered(300), data__validation=None, evaluation=None, training__seed=seed)
    fresh = open_data(asked_job(seed), base, asked.files())
    every = fresh.train_batch(range(61)).arrays

    for positions in batches:
        batch = asked.train_batch(positions).arrays
        for name in ("inputs", "targets"):
            assert np.array_equal(batch[name], every[name][positions.start : positions.stop])


def positions_of(first: int, lanes: range) -> range:
    return range(first + lanes.start, first + lanes.stop)


def asked_job(seed: int) -> TrainingJob:
    return job(data__validation=None, evaluation=None, training__seed=seed)


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
def test_any_number_of_workers_sees_the_same_batches(base: Path, workers: int) -> None:
    size = 10
    whole = open_data(job(), base, {})
    readers = [open_data(job(), base, {}) for _ in range(workers)]

    for first in range(0, 3 * whole.samples_per_epoch, size):
        expected = whole.train_batch(range(first, first + size)).arrays
        parts = [
            reader.train_batch(positions_of(first, lanes_of(rank, workers, size))).arrays
            for rank, reader in enumerate(readers)
        ]
        for name in ("inputs", "targets"):
            assert np.array_equal(np.concatenate([part[name] for part in parts]), expected[name])


def test_windows_do_not_cross_the_split(tmp_path: Path) -> None:
    text = numbered(400)
    # Only the training split's characters are in the vocabulary, so the validation split repeats the first.
    data = data_of(tmp_path, text + text[:100], data__validation={"fraction": 0.2})

    seen = data.train_batch(range(20 * data.samples_per_epoch)).arrays
    assert np.array_equal(seen["targets"], seen["inputs"] + 1), "no window goes on past the last token"
    batches = [batch.arrays for batch in data.validation_batches(4)]
    inputs = np.concatenate([batch["inputs"].flatten() for batch in batches])
    assert np.array_equal(inputs[:99], np.arange(99))


@examples(40)
@given(count=st.integers(2, 80), size=st.integers(1, 9))
def test_validation_predicts_every_token_but_the_first_once(
    tmp_path_factory: pytest.TempPathFactory, count: int, size: int
) -> None:
    base = tmp_path_factory.mktemp("data")
    text = numbered(80)
    (base / "validation.txt").write_text(text[:count], encoding="utf-8")
    data = data_of(base, text, data__validation={"sources": [{"uri": "validation.txt"}]})

    batches = [batch.arrays for batch in data.validation_batches(size)]

    inputs = np.concatenate([batch["inputs"] for batch in batches]).flatten()
    targets = np.concatenate([batch["targets"] for batch in batches]).flatten()
    counted = targets != IGNORED
    assert np.array_equal(targets[counted], np.arange(1, count))
    assert np.array_equal(inputs[counted], np.arange(count - 1))
    assert len(targets) % CONTEXT == 0
    assert len(targets) - (count - 1) < CONTEXT
    assert [len(batch["inputs"]) for batch in batches[:-1]] == [size] * (len(batches) - 1)
    assert inputs.min() >= 0, "places that count for nothing hold a token all the same"


@pytest.mark.parametrize("kind", ["Character", "Byte", "BPE"])
def test_validation_bytes_are_those_of_the_text_predicted(tmp_path: Path, kind: str) -> None:
    parts = ["Größe 東京 the theatre\n" * 30, "🙂 the the Größe 東京\n" * 7]
    for name, part in zip(("text.txt", "validation.txt"), (parts[0] + "🙂\n", parts[1]), strict=True):
        (tmp_path / name).write_text(part, encoding="utf-8")
    data = open_data(
        job(data__tokenizer={"type": kind}, data__validation={"sources": [{"uri": "validation.txt"}]}),
        tmp_path,
        {},
    )
    first = int(next(data.validation_batches(1)).arrays["inputs"][0, 0])

    counted = sum(int(batch.arrays["bytes"].sum()) for batch in data.validation_batches(3))

    assert counted == len(parts[1].encode()) - int(data.domain.token_bytes[first])


def test_documents_are_parted_by_the_end_of_text(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.txt").write_text(name * 20)
    data = open_data(
        job(data__train={"sources": [{"uri": "*.txt"}]}, data__validation=None, evaluation=None), tmp_path, {}
    )

    window = [data.train_batch(range(epoch, epoch + 1)).arrays["inputs"][0] for epoch in range(200)]

    end = data.domain.end_of_text
    joined = {"".join("|" if t == end else data.domain.decode([t]) for t in row) for row in window}
    assert any("a|b" in text for text in joined)
    assert not any("ab" in text or "bc" in text for text in joined)
    assert data.domain.size == 4


@pytest.mark.parametrize("tokens", [1, CONTEXT, 2 * CONTEXT - 1])
def test_too_little_data_is_refused(tmp_path: Path, tokens: int) -> None:
    with pytest.raises(DataError, match=f"has {tokens} tokens, too few for contextLength 16") as caught:
        data_of(tmp_path, "a" * tokens, data__validation=None, evaluation=None)

    assert caught.value.where == "text.txt"
    assert "at least 32 tokens" in caught.value.remedy


def test_just_enough_data_is_one_window(tmp_path: Path) -> None:
    data = data_of(tmp_path, "a" * 2 * CONTEXT, data__validation=None, evaluation=None)

    assert data.samples_per_epoch == 1
    assert data.train_batch(range(100)).arrays["targets"].shape == (100, CONTEXT)


@pytest.mark.parametrize("fraction", [1e-9, 0.01])
def test_a_validation_split_without_a_target_is_refused(tmp_path: Path, fraction: float) -> None:
    with pytest.raises(DataError, match="too short to predict anything") as caught:
        data_of(tmp_path, "a" * 100, data__validation={"fraction": fraction})

    assert caught.value.where == "spec.data.validation"
    assert caught.value.remedy


def test_a_character_of_the_validation_split_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"character '%' .* at position 9") as caught:
        data_of(tmp_path, "abcde" * 18 + "abcdeabcd%")

    assert caught.value.where == "spec.data.validation, document 1 of 1"
    assert caught.value.remedy


def test_a_prompt_outside_the_vocabulary_is_refused_before_training(base: Path) -> None:
    with pytest.raises(DataError, match=r"character '%' .* at position 1") as caught:
        open_data(job(evaluation__samples={"everySteps": 1, "prompts": ["the ", "a%"]}), base, {})

    assert caught.value.where == "spec.evaluation.samples.prompts[1]"


def test_the_fingerprint_follows_the_data_and_not_the_seed(base: Path) -> None:
    one = open_data(job(), base, {}).fingerprint

    assert open_data(job(), base, {}).fingerprint == one
    assert open_data(job(training__seed=99, training__globalBatchSize=7), base, {}).fingerprint == one
    others = {
        open_data(job(data__validation={"fraction": 0.2}), base, {}).fingerprint,
        open_data(job(data__tokenizer={"type": "Byte"}), base, {}).fingerprint,
    }
    text = (base / "text.txt").read_text()
    (base / "text.txt").write_text(text.replace("fox", "cow", 1))
    others.add(open_data(job(), base, {}).fingerprint)
    assert len(others | {one}) == 4


def test_a_run_keeps_its_tokenizer(base: Path) -> None:
    first = open_data(job(data__tokenizer={"type": "BPE", "vocabularySize": 300}), base, {})
    files = first.files()

    again = open_data(job(data__tokenizer={"type": "BPE", "vocabularySize": 300}), base, files)

    assert again.fingerprint == first.fingerprint
    assert open_domain(files).to_json() == first.domain.to_json()


@pytest.mark.parametrize("files", [{"other": b"x"}, {"tokenizer.json": b"\xff{"}])
def test_a_run_without_its_tokenizer_is_refused(base: Path, files: dict[str, bytes]) -> None:
    for act in (lambda: open_data(job(), base, files), lambda: open_domain(files)):
        with pytest.raises(DataError, match="tokenizer") as caught:
            act()
        assert caught.value.where == "tokenizer.json"
        assert caught.value.remedy


def test_throughput_counts_tokens(base: Path) -> None:
    data = open_data(job(), base, {})

    assert (data.unit, data.units_per_sample) == ("tokens", CONTEXT)


@examples(200)
@given(documents=st.lists(st.text(min_size=1), max_size=6), share=st.floats(0, 1))
def test_a_split_cuts_at_a_share_of_the_characters(documents: list[str], share: float) -> None:
    first, rest = split_at(documents, share)

    total = sum(map(len, documents))
    assert "".join(first) + "".join(rest) == "".join(documents)
    assert sum(map(len, first)) == math.floor(total * share)
    assert all(first)
    assert all(rest)
