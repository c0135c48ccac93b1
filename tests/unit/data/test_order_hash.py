"""The order's hash is the published one, in any pieces, and names what it depends on."""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.data.order import Order
from raygen.data.order_hash import OrderHash, record_order
from raygen.data.readers import open_data
from raygen.spec import parse, resolve
from tests.budget import examples
from tests.jobs import job_document, write_text
from tests.prepared import documents, opened, text_job, write_lines

FINGERPRINT = "ab" * 32


@given(st.lists(st.integers(0, 2**40), max_size=50), st.lists(st.integers(0, 50), max_size=4))
@examples(50)
def test_a_hash_in_pieces_is_the_hash_of_the_whole(numbers: list[int], cuts: list[int]) -> None:
    samples = np.asarray(numbers, dtype=np.int64)
    hashed = OrderHash(FINGERPRINT)
    edges = sorted({0, *(min(cut, len(numbers)) for cut in cuts), len(numbers)})
    for first, end in itertools.pairwise(edges):
        hashed.add(samples[first:end])
        prefix = FINGERPRINT.encode() + b"".join(
            number.to_bytes(8, "little", signed=True) for number in numbers[:end]
        )
        assert hashed.positions == end
        assert hashed.hexdigest() == hashlib.sha256(prefix).hexdigest()


def test_the_hash_is_the_published_one() -> None:
    """Whoever recomputes it in another language compares with this."""
    hashed = OrderHash(FINGERPRINT)
    hashed.extend(Order(7, 100).indices, 250)
    assert hashed.positions == 250
    assert hashed.hexdigest() == "9ae361dfd29dfe5172f63aa09ef08638772543a916455a75e1a535cc7deb5aa1"


def test_extending_goes_on_where_it_was() -> None:
    asked: list[range] = []

    def order(positions: range) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        asked.append(positions)
        return np.arange(positions.start, positions.stop, dtype=np.int64)

    hashed = OrderHash(FINGERPRINT)
    for positions in (10, 10, 70_000, 200_000):
        hashed.extend(order, positions)
    assert [each.start for each in asked] == [0, 10, 65_546, 70_000, 135_536]
    at_once = OrderHash(FINGERPRINT)
    at_once.add(np.arange(200_000))
    assert at_once.hexdigest() == hashed.hexdigest()


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({"training__seed": 2}, {"seed"}),
        ({"model__transformer__contextLength": 32}, {"contextLength", "samplesPerEpoch"}),
        ({"data__packing": "Single"}, {"packing", "samplesPerEpoch"}),
    ],
)
def test_what_the_order_depends_on_stands_beside_it(
    tmp_path: Path, change: dict[str, object], differs: set[str]
) -> None:
    write_lines(tmp_path / "lines" / "0.jsonl", documents(300))
    first, second = (text_job(**each) for each in ({}, change))
    orders = [record_order(job, opened(job, tmp_path)) for job in (first, second)]
    assert {name for name in orders[0].of if orders[0].of[name] != orders[1].of[name]} == differs
    assert orders[0].sha256 != orders[1].sha256
    assert orders[0].positions == orders[0].of["samplesPerEpoch"]


def test_weights_of_a_mixture_are_among_it(tmp_path: Path) -> None:
    for number in range(2):
        write_lines(tmp_path / f"lines-{number}" / "0.jsonl", documents(300, seed=number))
    sources = [{"uri": f"lines-{number}", "format": "JsonLines"} for number in range(2)]
    mixed = {"sources": sources, "mixture": {"weights": [1, 3]}}
    job = text_job(data__train=mixed)
    later = text_job(data__train=mixed | {"weightChanges": [{"fromSample": 500, "weights": [3, 1]}]})
    before, after = (record_order(each, opened(each, tmp_path), 500) for each in (job, later))
    assert before.of["mixture"]["weights"] == [1.0, 3.0]
    # Up to where the weights change, both orders are the same, which the record of the change does not hide.
    assert (before.sha256, before.positions) == (after.sha256, 500)
    assert set(after.of) - set(before.of) == {"weightChanges"}
    assert (
        record_order(job, opened(job, tmp_path)).sha256 != record_order(later, opened(later, tmp_path)).sha256
    )


def test_data_in_memory_has_an_order_too(tmp_path: Path) -> None:
    write_text(tmp_path / "text.txt")
    job = resolve(parse(job_document()))
    data = open_data(job, tmp_path, {})
    found = record_order(job, data, 20)
    assert found.positions == 20
    assert found.of == {
        "fingerprint": data.fingerprint,
        "samplesPerEpoch": data.samples_per_epoch,
        "seed": 1,
        "contextLength": 16,
    }
    expected = (
        data.fingerprint.encode()
        + Order(1, data.samples_per_epoch).indices(range(20)).astype("<i8").tobytes()
    )
    assert found.sha256 == hashlib.sha256(expected).hexdigest()
