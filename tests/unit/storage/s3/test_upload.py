from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from raygen.errors import OutputError
from raygen.storage.s3.client import CONCURRENCY
from raygen.storage.s3.upload import OWNER, in_parts, upload


class Client:
    """A server in memory, and the connection to it; `before` is called at the begin of each upload of a part."""

    def __init__(self, before: Callable[[int], None] = lambda number: None) -> None:
        self.parts: dict[int, bytes] = {}
        self.object: bytes | None = None
        self.metadata: dict[str, str] = {}
        self.aborted = False
        self._before = before

    def run(self, action: Callable[[Any], Any], cancelled: threading.Event | None = None) -> Any:
        return action(self)

    def create_multipart_upload(self, **request: Any) -> dict[str, str]:
        self.metadata = request["Metadata"]
        return {"UploadId": "one"}

    def upload_part(self, **request: Any) -> dict[str, str]:
        self._before(request["PartNumber"])
        self.parts[request["PartNumber"]] = bytes(request["Body"])
        return {"ETag": str(request["PartNumber"])}

    def complete_multipart_upload(self, **request: Any) -> None:
        self.object = b"".join(self.parts[part["PartNumber"]] for part in request["MultipartUpload"]["Parts"])
        assert request["MpuObjectSize"] == len(self.object)

    def head_object(self, **request: Any) -> dict[str, Any]:
        return {"Metadata": self.metadata}

    def abort_multipart_upload(self, **request: Any) -> None:
        self.aborted = True


def send(client: Client, parts: Any) -> None:
    upload(client, "bucket", "key", parts, "s3://bucket/key")  # type: ignore[arg-type]


def test_chunks_become_parts_of_one_size() -> None:
    data = bytes(range(100))
    for step in (1, 7, 10, 33, 100):
        chunks = (memoryview(data)[at : at + step] for at in range(0, 100, step))
        parts = list(in_parts(chunks, 30))
        assert [len(part) for part in parts] == [30, 30, 30, 10]
        assert b"".join(parts) == data
    assert list(in_parts([b"", b""], 30)) == []


def test_no_more_parts_are_taken_than_are_on_their_way() -> None:
    begun, go = threading.Semaphore(0), threading.Event()

    def wait(number: int) -> None:
        begun.release()
        assert go.wait(10)

    taken: list[int] = []

    def parts() -> Iterator[bytes]:
        for number in range(5 * CONCURRENCY):
            taken.append(number)
            yield bytes([number])

    client = Client(wait)
    thread = threading.Thread(target=send, args=(client, parts()))
    thread.start()
    for _ in range(CONCURRENCY):
        assert begun.acquire(timeout=10)
    assert len(taken) <= CONCURRENCY + 1
    go.set()
    thread.join(10)
    assert client.object == bytes(range(5 * CONCURRENCY))
    assert not client.aborted


@pytest.mark.parametrize("number", [1, CONCURRENCY, 3 * CONCURRENCY])
def test_a_part_that_fails_aborts_the_upload(number: int) -> None:
    def fail(part: int) -> None:
        if part == number:
            raise denied()

    client = Client(fail)
    taken = iter([b"x"] * 1000)
    with pytest.raises(ClientError, match="AccessDenied"):
        send(client, taken)
    assert client.aborted
    assert client.object is None
    assert len(list(taken)) >= 1000 - number - 2 * CONCURRENCY


def test_too_many_parts_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raygen.storage.s3.upload.MAX_PARTS", 3)
    client = Client()
    with pytest.raises(OutputError, match="larger than"):
        send(client, [b"x"] * 4)
    assert client.aborted
    assert client.object is None


@pytest.mark.parametrize("ours", [True, False])
def test_completing_twice_is_told_from_an_upload_that_is_gone(ours: bool) -> None:
    class Lost(Client):
        def complete_multipart_upload(self, **request: Any) -> None:
            if not ours:
                self.metadata = {OWNER: "another"}
            raise denied("NoSuchUpload", 404)

    if ours:
        send(Lost(), [b"x"])
    else:
        with pytest.raises(ClientError, match="NoSuchUpload"):
            send(Lost(), [b"x"])


def denied(code: str = "AccessDenied", status: int = 403) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "x")
