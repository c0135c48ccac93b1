from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.checkpoint import FileRecord, Folder, Manifest, Writer, best_step, latest, load, steps
from raygen.checkpoint.retention import best_of, expendable, unused_tag
from raygen.errors import CheckpointError
from raygen.storage import LocalStorage
from tests.unit.checkpoint.faults import assert_is_step, state_of, values_of


def folder(step: int, attempt: int = 1, *, metric: float | None = None, complete: bool = True) -> Folder:
    name = f"state.a{attempt:03d}.json"
    manifest = Manifest(step, attempt, "", "", name, {name: FileRecord(3, "")}, {}, metric)
    return Folder(step, {name: 3 if complete else 2}, manifest)


def torn(step: int, attempt: int = 1) -> Folder:
    return Folder(step, {f"shard-00000-of-00001.a{attempt:03d}.safetensors": 9}, None)


CASES = {
    "the newest stay": ([folder(1), folder(2), folder(3)], 3, [1]),
    "torn folders count for nothing": ([folder(1), folder(2), torn(3), folder(4)], 4, [1, 3]),
    "a torn folder that is newer may be in work": ([folder(1), folder(2), torn(3)], 2, []),
    "a missing file makes it torn": ([folder(1), folder(2, complete=False), folder(3)], 3, [2]),
    "nothing goes before its successor is safe": ([folder(1), folder(2), folder(3, complete=False)], 3, []),
    "an abandoned course goes first": ([folder(5), folder(6, 2), folder(7, 2), folder(9)], 7, [5, 9]),
    "what a newer attempt wrote stays": ([folder(1), folder(2), folder(3), torn(0, 8), folder(9, 8)], 3, [1, 2]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_expendable(name: str) -> None:
    folders, committed, gone = CASES[name]
    assert expendable(folders, committed=committed, attempt=2, keep=2, best=None) == gone


@pytest.mark.parametrize(("direction", "gone"), [("min", [10, 30]), ("max", [0, 30]), (None, [0, 10, 30])])
def test_the_best_stays(direction: str, gone: list[int]) -> None:
    scored = [folder(0, metric=1.0), folder(10, metric=9.0), folder(30, metric=5.0), folder(40), folder(50)]
    assert expendable(scored, committed=50, attempt=1, keep=2, best=direction) == gone  # type: ignore[arg-type]


def test_the_earliest_of_equals_is_best() -> None:
    folders = [
        folder(1, metric=2.0),
        folder(2, metric=1.0),
        folder(3, metric=1.0),
        folder(4, metric=0.0, complete=False),
    ]
    assert best_of(folders, "min") == 2
    assert best_of([folder(1)], "min") is None


@given(
    st.lists(
        st.tuples(st.integers(0, 20), st.integers(1, 3), st.booleans(), st.none() | st.floats(-1, 1)),
        unique_by=lambda t: t[0],
    ),
    st.integers(0, 20),
    st.integers(0, 5),
)
def test_two_always_remain(
    made: list[tuple[int, int, bool, float | None]], committed: int, keep: int
) -> None:
    folders = [folder(s, a, metric=m, complete=c) for s, a, c, m in made]
    complete = {f.step for f in folders if f.complete}
    gone = set(expendable(folders, committed=committed, attempt=3, keep=keep, best="min"))
    assert len(complete - gone) >= min(2, len(complete))
    assert committed not in gone or committed not in complete
    assert best_of(folders, "min") not in gone
    if committed not in complete:
        assert gone == set()


def test_retention_on_disk(storage: LocalStorage) -> None:
    with Writer(storage, keep=2, best="min") as writer:
        for step, metric in ((10, 3.0), (20, 1.0), (30, float("nan")), (40, 2.0), (50, None)):
            writer.save(step, state_of(step), values_of(step), metric=metric)
    assert steps(storage) == [20, 40, 50]
    assert best_step(storage, "min") == 20
    assert_is_step(load(storage, 20), 20)


def test_damaged_ones_do_not_push_out_good_ones(storage: LocalStorage) -> None:
    with Writer(storage, keep=2) as writer:
        for step in (100, 200, 300):
            writer.save(step, state_of(step), values_of(step))
    shard = next(e.key for e in storage.list("step-00000300/") if "shard" in e.key)
    data = bytearray(storage.read(shard))
    data[-1] ^= 1
    storage.write(shard, data)
    assert_is_step(latest(storage), 200)
    with Writer(storage, attempt=2, keep=2) as writer:
        for step in (210, 220):
            writer.save(step, state_of(step), values_of(step))
            # The writer writes meanwhile: what is newest may become newer, and is never the damaged one.
            before = writer.newest or 200
            loaded = latest(storage)
            assert loaded is not None
            assert loaded.step in {before, step}
    assert steps(storage) == [210, 220]


def test_a_checkpoint_of_a_newer_format_is_neither_passed_over_nor_deleted(storage: LocalStorage) -> None:
    with Writer(storage) as writer:
        writer.save(1, state_of(1), values_of(1))
    newer = folder(2).manifest
    assert newer is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("raygen.checkpoint.manifest.FORMAT", 2)
        storage.write("step-00000002/manifest.json", newer.encode())
    with pytest.raises(CheckpointError, match="format 2"):
        latest(storage)
    writer = Writer(storage)
    writer.save(3, state_of(3), values_of(3))
    with pytest.raises(CheckpointError, match="format 2"):
        writer.close()
    assert storage.exists("step-00000002/manifest.json")


def test_no_two_saves_share_a_tag() -> None:
    names: list[str] = []
    for attempt in (1, 1, 2, 1, 1000):
        tag = unused_tag(attempt, names)
        assert not any(f".{tag}." in name for name in names)
        names.append(f"state.{tag}.json")
    assert names == [f"state.{t}.json" for t in ("a001", "a001r1", "a002", "a001r2", "a1000")]
