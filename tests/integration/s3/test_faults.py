"""The contract with a proxy between raygen and the server that cuts, delays, truncates and refuses."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raygen.errors import OutputError, RaygenError
from raygen.storage import AlreadyExistsError, Entry, NotFoundError
from raygen.storage.s3.bucket import S3Storage
from raygen.storage.s3.client import Connection
from raygen.storage.s3.upload import PART_BYTES
from tests.integration.s3.conftest import HASTY, PATIENT, fresh, set_environment
from tests.integration.s3.proxy import FAULTS, Proxy, Request, drawn, scripted
from tests.integration.s3.server import BUCKET, Server, client, environment

LARGE = random.Random(1).randbytes(2 * PART_BYTES + 4321)
few = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
faults = st.lists(st.sampled_from(["", *FAULTS]), max_size=6)


@pytest.fixture
def storage_pair(harmed: S3Storage) -> tuple[S3Storage, S3Storage]:
    """One folder for a client that is patient and for one that gives up soon."""
    return harmed, hasty(harmed)


def chunks(data: bytes) -> Iterator[bytes]:
    return (data[at : at + 3_000_001] for at in range(0, len(data), 3_000_001))


@pytest.mark.parametrize("fault", FAULTS)
def test_each_operation_outlives_one_fault_at_each_of_its_requests(
    harmed: S3Storage, proxy: Proxy, fault: str
) -> None:
    harmed.write("there", b"there")
    for number, (call, expected) in enumerate(operations(harmed)):
        for hit in range(3):
            harmed.delete_prefix("new/")
            proxy.script = scripted([""] * hit + [fault])
            assert call() == expected, f"operation {number}, request {hit}"
            proxy.script = lambda request: ""
            assert [e for e in harmed.list("new/") if e.size != 3] == []


def operations(storage: S3Storage) -> Iterator[tuple[object, object]]:
    def open_and_read() -> bytes:
        with storage.open("there") as stream:
            return stream.read()

    yield lambda: storage.write("new/w", b"abc"), None
    yield lambda: storage.create("new/c", b"abc"), None
    yield lambda: storage.read("there"), b"there"
    yield open_and_read, b"there"
    yield lambda: storage.size("there"), 5
    yield lambda: storage.exists("there"), True
    yield lambda: storage.exists("nowhere"), False
    yield lambda: [e.key for e in storage.list()], ["first", "there"]
    yield lambda: storage.delete("new/w"), None
    yield lambda: storage.delete_prefix("new/"), None
    yield lambda: storage.clean(), 0


@given(script=faults)
@few
def test_a_write_ends_complete_or_invisible(
    storage_pair: tuple[S3Storage, S3Storage], proxy: Proxy, script: list[str]
) -> None:
    storage = storage_pair[1]
    proxy.script = lambda request: ""
    storage.write("x", b"old")
    proxy.script = scripted(script)
    data = random.Random(len(script)).randbytes(5000)
    try:
        storage.write("x", data)
    except OutputError:
        expected = {b"old", data}
    else:
        expected = {data}
    proxy.script = lambda request: ""
    assert storage.read("x") in expected


@pytest.mark.parametrize("seed", range(12))
def test_an_upload_in_parts_ends_complete_or_invisible(
    harmed: S3Storage, proxy: Proxy, server: Server, seed: int
) -> None:
    storage = hasty(harmed) if seed % 2 else harmed
    proxy.script = drawn(seed, 0.8 if seed % 2 else 0.35)
    try:
        storage.stream("large", chunks(LARGE))
        complete = True
    except OutputError:
        complete = False
    proxy.script = lambda request: ""
    found = list(storage.list("")) if complete else [e for e in storage.list() if e.key == "large"]
    assert all(entry in (Entry("large", len(LARGE)), Entry("first", 0)) for entry in found)
    if complete or found:
        with storage.open("large") as stream:
            assert hashlib.sha256(stream.read()).digest() == hashlib.sha256(LARGE).digest()


def hasty(storage: S3Storage) -> S3Storage:
    """The same folder for a client that gives up soon."""
    impatient = S3Storage(storage.uri, Connection(HASTY))
    impatient._connection.conditional = storage._connection.conditional
    return impatient


@pytest.mark.parametrize("fault", ["cut before", "cut after", "500 after"])
@pytest.mark.parametrize("step", ["uploads", "partNumber=2", "uploadId"])
def test_a_lost_answer_at_each_stage_of_an_upload(
    harmed: S3Storage, proxy: Proxy, fault: str, step: str
) -> None:
    hit: list[int] = []

    def once(request: Request) -> str:
        if step in request.target and request.method in ("POST", "PUT") and not hit:
            if step == "uploadId" and "partNumber" in request.target:
                return ""
            hit.append(request.number)
            return fault
        return ""

    proxy.script = once
    harmed.stream("large", chunks(LARGE))
    assert hit
    assert harmed.size("large") == len(LARGE)


def test_a_failed_upload_leaves_no_parts(harmed: S3Storage, proxy: Proxy, server: Server) -> None:
    proxy.script = lambda request: "500" if "partNumber=2" in request.target else ""
    with pytest.raises(OutputError, match="the server answers 500 InternalError"):
        hasty(harmed).stream("large", chunks(LARGE))
    proxy.script = lambda request: ""
    assert not harmed.exists("large")
    assert [key for key in uploads(server) if key in harmed.uri + "/large"] == []


def uploads(server: Server) -> list[str]:
    """Keys of unfinished uploads."""
    found = client(environment(server.endpoint)).list_multipart_uploads(Bucket=BUCKET)  # type: ignore[attr-defined]
    return [one["Key"] for one in found.get("Uploads", ())]


@pytest.mark.parametrize("fault", ["cut after", "500 after"])
def test_a_create_whose_answer_was_lost_knows_its_own_object(
    harmed: S3Storage, proxy: Proxy, fault: str
) -> None:
    proxy.script = scripted([fault])
    harmed.create("claim", b"mine")
    assert [(r.method, f) for r, f in proxy.seen] == [("PUT", fault), ("PUT", ""), ("HEAD", "")]
    proxy.script = scripted([fault])
    with pytest.raises(AlreadyExistsError):
        harmed.create("claim", b"mine")


@pytest.mark.parametrize("seed", range(6))
def test_of_several_creators_one_wins_whatever_answers_are_lost(
    harmed: S3Storage, proxy: Proxy, seed: int
) -> None:
    racers = [S3Storage(harmed.uri, Connection(PATIENT)) for _ in range(4)]
    for racer in racers:
        racer._connection.conditional = harmed._connection.conditional
    proxy.script = drawn(seed, 0.4)

    def claim(number: int) -> bool:
        try:
            racers[number].create("claim", str(number).encode())
        except AlreadyExistsError:
            return False
        return True

    with ThreadPoolExecutor(len(racers)) as threads:
        won = [number for number, first in enumerate(threads.map(claim, range(len(racers)))) if first]
    proxy.script = lambda request: ""
    assert len(won) == 1
    assert harmed.read("claim") == str(won[0]).encode()


@given(script=faults, position=st.integers(0, 99_000), count=st.integers(1, 100_000))
@few
def test_a_reader_gives_the_exact_bytes_or_raises(
    storage_pair: tuple[S3Storage, S3Storage], proxy: Proxy, script: list[str], position: int, count: int
) -> None:
    harmed, hurried = storage_pair
    data = LARGE[:100_000]
    proxy.script = lambda request: ""
    harmed.write("x", data)
    proxy.script = scripted(script)
    storage = harmed if len(script) % 2 else hurried
    with suppress(OutputError):
        with storage.open("x") as stream:
            stream.seek(position)
            assert stream.read(count) == data[position : position + count]
        assert storage.read("x") == data


def test_a_long_reading_outlives_many_cuts(harmed: S3Storage, proxy: Proxy) -> None:
    harmed.stream("large", chunks(LARGE))
    proxy.script = drawn(3, 0.5)
    with harmed.open("large") as stream:
        assert stream.read() == LARGE
    proxy.script = lambda request: ""


def test_a_server_that_passes_over_the_condition_is_refused(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_environment(monkeypatch, proxy.endpoint)
    proxy.script = lambda request: "without conditions"
    storage = S3Storage(fresh(), Connection(PATIENT))
    for _ in range(2):
        with pytest.raises(OutputError, match=r"passes over conditional writes \(If-None-Match\)") as caught:
            storage.create("claim", b"")
        assert "Use a server that heeds them" in caught.value.remedy
        assert list(storage.list()) == []


def test_the_condition_is_tried_once_for_a_bucket(
    s3: S3Storage, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_environment(monkeypatch, proxy.endpoint)
    storage = S3Storage(fresh(), Connection(PATIENT))
    for name in ("a", "b", "c"):
        storage.within("folder").create(name, b"")
    assert [r.method for r, _ in proxy.seen].count("PUT") == 4


def test_an_outage_ends_with_the_reason(harmed: S3Storage, proxy: Proxy) -> None:
    storage = hasty(harmed)
    calls = [
        lambda: storage.write("x", b""),
        lambda: storage.create("x", b""),
        lambda: storage.read("first"),
        lambda: storage.list(),
        lambda: storage.delete("x"),
        lambda: storage.size("first"),
        lambda: storage.stream("x", chunks(LARGE)),
    ]
    for fault, words in (("cut before", "does not answer"), ("503", "asks for fewer requests")):
        proxy.script = lambda request, fault=fault: fault  # type: ignore[misc]
        for call in calls:
            with pytest.raises(RaygenError, match=words) as caught:
                call()
            assert caught.value.where.startswith(harmed.uri)
            assert caught.value.remedy
            assert not isinstance(caught.value, NotFoundError)
    proxy.script = lambda request: ""


def test_a_replaced_object_is_noticed_while_it_is_read(s3: S3Storage) -> None:
    s3.stream("x", chunks(LARGE))
    with s3.open("x") as stream:
        stream.read(10)
        s3.write("x", LARGE[::-1])
        stream.seek(-100, 2)
        with pytest.raises(OutputError, match="was replaced while it was read"):
            stream.read(10)


def test_old_uploads_are_aborted_and_those_of_others_are_not(
    s3: S3Storage, server: Server, aws: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket, _, folder = s3.uri.removeprefix("s3://").partition("/")
    begun = client(aws).create_multipart_upload(Bucket=bucket, Key=f"{folder}/x")["UploadId"]  # type: ignore[attr-defined]
    assert s3.clean() == 0
    assert f"{folder}/x" in uploads(server)
    monkeypatch.setattr("raygen.storage.s3.upload.FOREIGN_STALE_SECONDS", -60)
    assert s3.clean("elsewhere/") == 0
    assert s3.clean() == 1
    assert f"{folder}/x" not in uploads(server)
    assert begun
