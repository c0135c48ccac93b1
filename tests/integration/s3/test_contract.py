"""What every storage promises (`raygen.storage.base.Storage`), asked of a folder and of a real S3 server."""

from __future__ import annotations

import io
import itertools
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raygen.errors import InputError
from raygen.storage import AlreadyExistsError, Entry, NotFoundError, Storage, open_storage
from raygen.storage.s3.bucket import S3Storage
from raygen.storage.s3.client import Connection
from raygen.storage.s3.upload import PART_BYTES
from tests.integration.s3.conftest import PATIENT, fresh

KEYS = st.lists(
    st.text(
        st.characters(exclude_categories=["C"], exclude_characters="/\\"), min_size=1, max_size=12
    ).filter(lambda part: part not in (".", "..") and len(part.encode()) < 100),
    min_size=1,
    max_size=3,
).map("/".join)
_examples = itertools.count()
many = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_what_is_written_is_read(storage: Storage) -> None:
    storage.write("a/b.bin", b"first")
    storage.write("a/b.bin", bytearray(b"second"))
    assert storage.read("a/b.bin") == b"second"
    assert storage.size("a/b.bin") == 6
    assert storage.exists("a/b.bin")
    storage.write("empty", b"")
    assert storage.read("empty") == b""
    assert storage.size("empty") == 0
    with storage.open("empty") as stream:
        assert stream.read() == b""


def test_an_opened_storage_is_known_by_its_uri(storage: Storage) -> None:
    storage.within("run").write("x", b"1")
    assert open_storage(storage.uri).read("run/x") == b"1"
    assert storage.within("run").uri == f"{storage.uri}/run"


@given(sizes=st.lists(st.integers(0, 3000), max_size=8))
@many
def test_stream_joins_its_chunks(storage: Storage, sizes: list[int]) -> None:
    chunks = [bytes([number % 251]) * size for number, size in enumerate(sizes)]
    storage.stream("x", (memoryview(chunk) for chunk in chunks))
    assert storage.read("x") == b"".join(chunks)


@pytest.mark.parametrize("size", [PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES + 12345])
def test_sizes_around_a_part(storage: Storage, size: int) -> None:
    data = bytes(range(251)) * (size // 251 + 1)
    storage.stream("x", (data[at : min(at + 999_983, size)] for at in range(0, size, 999_983)))
    assert storage.size("x") == size
    with storage.open("x") as stream:
        assert stream.read() == data[:size]


def test_a_missing_object_is_named(storage: Storage) -> None:
    for look in (storage.read, storage.open, storage.size):
        with pytest.raises(NotFoundError, match="absent"):
            look("absent")
    assert not storage.exists("absent")
    storage.delete("absent")
    storage.delete_prefix("absent/")


def test_a_folder_is_no_object(storage: Storage) -> None:
    storage.write("a/b", b"")
    assert not storage.exists("a")
    assert not storage.exists("a/b/c")


def test_list_is_sorted_and_keeps_to_its_prefix(storage: Storage) -> None:
    for key in ("b", "a/2", "a/1", "a-b/3", "a/c/4"):
        storage.write(key, key.encode())
    assert list(storage.list("a/")) == [Entry("a/1", 3), Entry("a/2", 3), Entry("a/c/4", 5)]
    assert [e.key for e in storage.list()] == ["a-b/3", "a/1", "a/2", "a/c/4", "b"]
    assert list(storage.list("nothing/")) == []
    assert list(storage.within("a").list()) == [Entry("1", 3), Entry("2", 3), Entry("c/4", 5)]


def test_more_objects_than_one_answer_lists_and_one_request_deletes(storage: Storage) -> None:
    names = [f"many/{number:04}" for number in range(1005)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda name: storage.write(name, b"x"), names))
    storage.write("many-more", b"x")
    assert [e.key for e in storage.list("many/")] == names
    storage.delete_prefix("many/")
    assert [e.key for e in storage.list()] == ["many-more"]


def test_deleting_keeps_to_its_prefix(storage: Storage) -> None:
    for key in ("a/1", "a/b/2", "ab/3"):
        storage.write(key, b"")
    storage.delete_prefix("a/")
    assert [e.key for e in storage.list()] == ["ab/3"]
    with pytest.raises(InputError, match="whole storage"):
        storage.delete_prefix("")


@pytest.mark.parametrize(
    "key", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", "./a", "a\0b", "a\\b", "\ud800"]
)
def test_keys_that_could_escape_are_refused(storage: Storage, key: str) -> None:
    for call in (
        lambda: storage.write(key, b"x"),
        lambda: storage.create(key, b"x"),
        lambda: storage.read(key),
        lambda: storage.delete(key),
        lambda: storage.within(key),
        lambda: storage.local_path(key),
    ):
        with pytest.raises(InputError, match="object name"):
            call()
    assert list(storage.list()) == []


@given(key=KEYS, data=st.binary(max_size=50))
@many
def test_any_key_round_trips(storage: Storage, key: str, data: bytes) -> None:
    # A folder of its own, since one example's object stands where another's folder goes.
    storage = storage.within(f"example-{next(_examples)}")
    storage.write(key, data)
    assert storage.read(key) == data
    assert list(storage.list()) == [Entry(key, len(data))]
    storage.delete(key)
    assert not storage.exists(key)


def test_create_refuses_what_exists(storage: Storage) -> None:
    storage.create("claim", b"first")
    for data in (b"second", b"first"):
        with pytest.raises(AlreadyExistsError):
            storage.create("claim", data)
    storage.write("other", b"")
    with pytest.raises(AlreadyExistsError):
        storage.create("other", b"")
    assert storage.read("claim") == b"first"


def _race(uri: str, number: int, barrier: object, results: object) -> None:
    storage = open_storage(uri)
    won = []
    for claim in range(5):
        barrier.wait()  # type: ignore[attr-defined]
        try:
            storage.create(f"claims/{claim}", str(number).encode())
        except AlreadyExistsError:
            continue
        won.append(claim)
    results.put((number, won))  # type: ignore[attr-defined]


def test_of_several_processes_one_creates(storage: Storage) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(3), context.Queue()
    racers = [context.Process(target=_race, args=(storage.uri, i, barrier, results)) for i in range(3)]
    for racer in racers:
        racer.start()
    found = dict(results.get(timeout=60) for _ in racers)
    for racer in racers:
        racer.join()
    for claim in range(5):
        (winner,) = [number for number, won in found.items() if claim in won]
        assert storage.read(f"claims/{claim}") == str(winner).encode()


@pytest.mark.parametrize("good", [1, PART_BYTES, 2 * PART_BYTES + 1])
def test_a_stream_that_breaks_leaves_the_old_object(storage: Storage, good: int) -> None:
    def breaks() -> Iterator[bytes]:
        yield bytes(good)
        raise RuntimeError("stop")

    storage.write("x", b"old")
    for key in ("x", "y"):
        with pytest.raises(RuntimeError, match="stop"):
            storage.stream(key, breaks())
    assert storage.read("x") == b"old"
    assert list(storage.list()) == [Entry("x", 3)]


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from([io.SEEK_SET, io.SEEK_CUR, io.SEEK_END]),
            st.integers(-70, 70),
            st.integers(-1, 80),
        )
    )
)
@many
def test_a_reader_moves_as_a_file_does(storage: Storage, steps: list[tuple[int, int, int]]) -> None:
    data = bytes(range(60))
    storage.write("x", data)
    like = io.BytesIO(data)
    with storage.open("x") as stream:
        for whence, offset, count in steps:
            base = {io.SEEK_SET: 0, io.SEEK_CUR: like.tell(), io.SEEK_END: len(data)}[whence]
            if base + offset >= 0:
                assert stream.seek(offset, whence) == like.seek(base + offset)
            assert stream.read(count) == like.read(count)
            assert stream.tell() == like.tell()


def test_cleaning_leaves_finished_objects(storage: Storage) -> None:
    storage.write("a/x", b"x")
    assert storage.clean() == 0
    assert storage.clean("a/") == 0
    assert storage.read("a/x") == b"x"


def test_the_tag_of_an_object_is_that_of_its_content(aws: dict[str, str]) -> None:
    storage = S3Storage(fresh(), Connection(PATIENT))
    for key, content in (("a", b"one"), ("b", b"one"), ("c", b"two")):
        storage.write(key, content)
    assert storage.tag("a") == storage.tag("b")
    assert storage.tag("a") != storage.tag("c")
    assert storage.tags() == {key: storage.tag(key) for key in "abc"}
    with pytest.raises(NotFoundError):
        storage.tag("absent")
