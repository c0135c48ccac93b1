"""Large objects in parts: several on their way at a time, and all of them visible at once or never."""

from __future__ import annotations

import base64
import secrets
import threading
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any

from raygen.errors import OutputError
from raygen.storage.base import Buffer
from raygen.storage.s3.client import CONCURRENCY, Connection
from raygen.storage.s3.faults import FAILURES, code_of, is_transient
from raygen.storage.temporary import FOREIGN_STALE_SECONDS

PART_BYTES = 16 << 20
"""Size of all parts but the last. An upload holds one more than CONCURRENCY of them in memory."""
MAX_PARTS = 10_000

OWNER = "raygen-writer"
"""Metadata of an object: what a writer that lost an answer knows its own object by."""

_MAY_NOT_LOOK = frozenset({"AccessDenied", "NotImplemented", "MethodNotAllowed"})


def new_token() -> str:
    """A value for OWNER that nobody else has."""
    return secrets.token_hex(16)


def crc32(data: Buffer) -> str:
    """The checksum by which the server proves what arrived, in S3's spelling."""
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


def in_parts(chunks: Iterable[Buffer], size: int = PART_BYTES) -> Iterator[bytes]:
    """The chunks' bytes in parts of `size`, the last one shorter; nothing for no bytes.

    A chunk must not change until its part is there: each byte is copied once, when a part is full.
    """
    views: list[memoryview] = []
    length = 0
    for chunk in chunks:
        view = memoryview(chunk).cast("B")
        while view:
            taken = view[: size - length]
            views.append(taken)
            length += len(taken)
            view = view[len(taken) :]
            if length == size:
                yield b"".join(views)
                views, length = [], 0
    if views:
        yield b"".join(views)


def holds(connection: Connection, bucket: str, key: str, token: str) -> bool:
    """Whether the object is the one that was written with this token; False if nobody can say."""
    with suppress(*FAILURES):
        found = connection.run(lambda client: client.head_object(Bucket=bucket, Key=key))
        return bool(found["Metadata"].get(OWNER) == token)
    return False


def abort_stale(connection: Connection, bucket: str, prefix: str) -> int:
    """Aborts uploads of keys under `prefix` that are older than a day by the server's clock; returns how many.

    Their writers cannot be asked whether they live, and no object takes so long. Credentials that may not
    look, and servers that cannot, leave them to the bucket's own rules.
    """

    def stale(client: Any) -> list[dict[str, str]]:
        found = []
        for page in client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix):
            now = parsedate_to_datetime(page["ResponseMetadata"]["HTTPHeaders"]["date"])
            found += [
                {"Bucket": bucket, "Key": one["Key"], "UploadId": one["UploadId"]}
                for one in page.get("Uploads", ())
                if (now - one["Initiated"]).total_seconds() > FOREIGN_STALE_SECONDS
            ]
        return found

    try:
        uploads = connection.run(stale)
    except FAILURES as error:
        if code_of(error) not in _MAY_NOT_LOOK:
            raise
        return 0
    for one in uploads:
        with suppress(*FAILURES):  # another attempt may have been faster
            _abort(connection, one)
    return len(uploads)


def upload(connection: Connection, bucket: str, key: str, parts: Iterable[bytes], where: str) -> None:
    """Writes or replaces an object from parts.

    Whatever fails, `parts` included, the upload is aborted after its last request, so that the server keeps
    nothing of it; where even that fails, `S3Storage.clean` finds it later.

    Raises:
        OutputError: There are more than MAX_PARTS parts.
        Exception: What a request raised, or `parts`.
    """
    token, place = new_token(), {"Bucket": bucket, "Key": key}
    begun = connection.run(
        lambda client: client.create_multipart_upload(
            **place, ChecksumAlgorithm="CRC32", Metadata={OWNER: token}
        )
    )
    target = {**place, "UploadId": begun["UploadId"]}
    try:
        sent, size = _send(connection, target, parts, where)
        _complete(connection, target, sent, size, token)
    except BaseException:
        with suppress(*FAILURES):
            _abort(connection, target)
        raise


def _send(
    connection: Connection, target: dict[str, str], parts: Iterable[bytes], where: str
) -> tuple[list[dict[str, Any]], int]:
    """Sends all parts; gives what completing needs, and the bytes in all. Returns with no request under way."""
    room, failed = threading.BoundedSemaphore(CONCURRENCY), threading.Event()

    def send(number: int, part: bytes) -> dict[str, Any]:
        try:
            checksum = crc32(part)
            answer = connection.run(
                lambda client: client.upload_part(
                    **target, PartNumber=number, Body=part, ChecksumCRC32=checksum
                ),
                failed,
            )
        except BaseException:
            failed.set()
            raise
        finally:
            room.release()
        return {"PartNumber": number, "ETag": answer["ETag"], "ChecksumCRC32": checksum}

    waiting: list[Future[dict[str, Any]]] = []
    size = 0
    with ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="s3-upload") as threads:
        try:
            for number, part in _numbered(parts, where):
                room.acquire()
                if failed.is_set():
                    break
                waiting.append(threads.submit(send, number, part))
                size += len(part)
            return _results(waiting), size
        except BaseException:
            failed.set()
            raise


def _numbered(parts: Iterable[bytes], where: str) -> Iterator[tuple[int, bytes]]:
    for number, part in enumerate(parts, start=1):
        if number > MAX_PARTS:
            raise OutputError(
                f"the object is larger than {MAX_PARTS * PART_BYTES >> 30} GiB",
                where=where,
                remedy="Spread it over several objects.",
            )
        yield number, part


def _results(waiting: list[Future[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The results in order; of several failures the one that is no consequence of another comes first."""
    errors = [error for future in waiting if (error := future.exception()) is not None]
    if errors:
        raise next((error for error in errors if not is_transient(error)), errors[0])
    return [future.result() for future in waiting]


def _complete(
    connection: Connection, target: dict[str, str], sent: list[dict[str, Any]], size: int, token: str
) -> None:
    """Makes the object visible. Where the answer is lost, and the upload gone since, the token tells."""
    try:
        connection.run(
            lambda client: client.complete_multipart_upload(
                **target, MultipartUpload={"Parts": sent}, MpuObjectSize=size
            )
        )
    except FAILURES as error:
        lost = is_transient(error) or code_of(error) in ("NoSuchUpload", "404")
        if not lost or not holds(connection, target["Bucket"], target["Key"], token):
            raise


def _abort(connection: Connection, target: dict[str, str]) -> None:
    connection.run(lambda client: client.abort_multipart_upload(**target))
