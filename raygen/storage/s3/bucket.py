"""A bucket of an S3 server as storage: Amazon's, or another that speaks the same.

A PUT is whole or invisible on the server's side, and so is an upload in parts, so nothing has a temporary
name. Which server, and with which credentials: `raygen.storage.s3.client`.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, cast

from raygen.errors import InputError, OutputError, without_secrets
from raygen.storage.base import AlreadyExistsError, Buffer, Entry, NotFoundError
from raygen.storage.keys import check_key, check_prefix
from raygen.storage.s3.client import Connection, Reach, connect
from raygen.storage.s3.faults import FAILURES, code_of, explained, is_transient, refuse
from raygen.storage.s3.reader import Reader
from raygen.storage.s3.upload import OWNER, abort_stale, crc32, holds, in_parts, new_token, upload

MAX_KEY_BYTES = 1024
_BUFFER_BYTES = 1 << 18
_DELETE_BATCH = 1000
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)


class S3Storage:
    """Objects of `s3://bucket/root`. The bucket must exist; nothing is asked of the server before the first call.

    Args:
        uri: `s3://bucket` or `s3://bucket/folder`.
        connection: To the server. Default: the one that the environment describes.

    Raises:
        InputError: The URI is malformed.
    """

    def __init__(self, uri: str, connection: Connection | None = None) -> None:
        self._bucket, self._root = _parsed(uri)
        self._connection = connection or connect()

    @property
    def uri(self) -> str:
        """`s3://bucket/root`."""
        return f"s3://{self._bucket}/{self._root}".rstrip("/")

    def reach(self) -> Reach:
        """How another library gets at the same objects, with the credentials of now."""
        return self._connection.reach()

    def within(self, folder: str) -> S3Storage:
        """The same storage seen from `folder`."""
        self._key(folder)
        return S3Storage(f"{self.uri}/{folder}", self._connection)

    def read(self, key: str) -> bytes:
        """The whole object; its checksum is verified where the server gives one."""
        place = self._place(key)
        with self._explained(key, "read"):
            return bytes(self._connection.run(lambda client: client.get_object(**place)["Body"].read()))

    def open(self, key: str) -> BinaryIO:
        """A seekable reader that the caller closes. It reads one version or fails (OutputError)."""
        found = self._head(key)
        place = self._place(key)
        size, etag = int(found["ContentLength"]), str(found.get("ETag", ""))
        reader = Reader(self._connection, place["Bucket"], place["Key"], size, etag, self._where(key))
        return cast("BinaryIO", io.BufferedReader(reader, _BUFFER_BYTES))

    def write(self, key: str, data: Buffer) -> None:
        """Writes or replaces an object."""
        self.stream(key, (data,))

    def stream(self, key: str, chunks: Iterable[Buffer]) -> None:
        """Writes or replaces an object, from chunks; a large one in parts, several of them at a time."""
        place = self._place(key)
        parts = in_parts(chunks)
        first = next(parts, b"")
        second = next(parts, None)
        with self._explained(key, "written"):
            if second is None:
                self._put(place, first)
            else:
                upload(
                    self._connection,
                    **_target(place),
                    parts=chain((first, second), parts),
                    where=self._where(key),
                )

    def create(self, key: str, data: Buffer) -> None:
        """Writes an object that must not exist; of several processes exactly one succeeds.

        The server decides, by If-None-Match. A request whose answer was lost is repeated and then refused,
        with the object of our own as the reason, so each carries a token that tells whose it is.

        The first object that a process creates in a bucket is sent once more, which must be refused: there are
        servers and proxies that pass over the condition, and with them two attempts would share a run.

        Raises:
            AlreadyExistsError: For all others.
            OutputError: The server passes over the condition; the object is deleted again.
        """
        place, body, token = self._place(key), bytes(data), new_token()
        if not self._put_new(place, body, token, key):
            raise AlreadyExistsError("this object exists and was left as it is", where=self._where(key))
        if self._bucket not in self._connection.conditional:
            if self._put_new(place, body, token + "-again", key):
                self.delete(key)
                raise OutputError(
                    f"the server at {self._connection.endpoint} passes over conditional writes (If-None-Match)",
                    where=self.uri,
                    remedy="Use a server that heeds them, or correct the proxy before it, since two runs could"
                    " overwrite each other.",
                )
            self._connection.conditional.add(self._bucket)

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """Every object under `prefix`, sorted by key."""
        return iter(sorted(Entry(key, found["Size"]) for key, found in self._objects(prefix)))

    def exists(self, key: str) -> bool:
        """Whether there is an object with that key."""
        try:
            self._head(key)
        except NotFoundError:
            return False
        return True

    def size(self, key: str) -> int:
        """The object's size in bytes."""
        return int(self._head(key)["ContentLength"])

    def tag(self, key: str) -> str:
        """The object's ETag, which the server changes with the content; NotFoundError if there is no such object."""
        return str(self._head(key).get("ETag", ""))

    def tags(self, prefix: str = "") -> dict[str, str]:
        """As `tag`, of every object under `prefix`, by key: a thousand in a request."""
        return {key: str(found.get("ETag", "")) for key, found in self._objects(prefix)}

    def delete(self, key: str) -> None:
        """Deletes an object; one that is already gone is no error."""
        place = self._place(key)
        with self._explained(key, "deleted"):
            try:
                self._connection.run(lambda client: client.delete_object(**place))
            except FAILURES as error:
                if code_of(error) not in ("NoSuchKey", "404"):
                    raise

    def delete_prefix(self, prefix: str) -> None:
        """Deletes every object under `prefix`, a thousand in a request."""
        if not prefix:
            raise InputError("refused to delete a whole storage", where=self.uri)
        keys = [self._key(entry.key) for entry in self.list(prefix)]
        with self._explained(prefix, "deleted"):
            left = tuple(chain.from_iterable(map(self._deleted, _batches(keys))))
        # A request as a whole succeeds although the server kept some objects; asked one by one, it says why.
        for key in left:
            self.delete(key.removeprefix(f"{self._root}/" if self._root else ""))

    def clean(self, prefix: str = "") -> int:
        """Aborts uploads under `prefix` that were begun so long ago that nobody can be at them any more."""
        check_prefix(prefix)
        start = f"{self._root}/{prefix}" if self._root else prefix
        with self._explained(prefix, "cleaned"):
            return abort_stale(self._connection, self._bucket, start)

    def local_path(self, key: str) -> Path | None:
        """None: there is no such path."""
        check_key(key)
        return None

    def _objects(self, prefix: str) -> Sequence[tuple[str, dict[str, Any]]]:
        """Key and what the server says of every object under `prefix`."""
        check_prefix(prefix)
        start = f"{self._root}/" if self._root else ""

        def pages(client: Any) -> Sequence[tuple[str, dict[str, Any]]]:
            paginator = client.get_paginator("list_objects_v2")
            return [
                (found["Key"].removeprefix(start), found)
                for page in paginator.paginate(Bucket=self._bucket, Prefix=start + prefix)
                for found in page.get("Contents", ())
                # Some tools mark folders by empty objects whose names end so.
                if not found["Key"].endswith("/")
            ]

        with self._explained(prefix, "listed"):
            return self._connection.run(pages)

    def _deleted(self, keys: Sequence[str]) -> Sequence[str]:
        """Deletes objects in one request; returns those that the server kept."""
        batch = {"Objects": [{"Key": key} for key in keys], "Quiet": True}
        answer = self._connection.run(lambda client: client.delete_objects(Bucket=self._bucket, Delete=batch))
        return [error["Key"] for error in answer.get("Errors", ())]

    def _put(self, place: dict[str, str], body: Any, **condition: Any) -> None:
        checksum = crc32(body)
        self._connection.run(
            lambda client: client.put_object(**place, Body=body, ChecksumCRC32=checksum, **condition)
        )

    def _put_new(self, place: dict[str, str], body: bytes, token: str, key: str) -> bool:
        """Whether the object of that token was written, since there was none."""
        try:
            self._put(place, body, IfNoneMatch="*", Metadata={OWNER: token})
        except FAILURES as error:
            exists = code_of(error) in ("PreconditionFailed", "412")
            if (exists or is_transient(error)) and holds(self._connection, **_target(place), token=token):
                return True
            if not exists:
                refuse(error, self._where(key), "created", self._connection.endpoint)
            return False
        return True

    def _head(self, key: str) -> dict[str, Any]:
        """Size and ETag. An answer to HEAD has no body to say what is wrong, so then one byte is asked for."""
        place = self._place(key)

        def look(client: Any) -> dict[str, Any]:
            try:
                found: dict[str, Any] = client.head_object(**place)
            except FAILURES as error:
                if not is_transient(error):
                    client.get_object(**place, Range="bytes=0-0")["Body"].close()
                raise
            return found

        with self._explained(key, "read"):
            return self._connection.run(look)

    def _explained(self, key: str, done: str) -> AbstractContextManager[None]:
        return explained(self._where(key), done, self._connection.endpoint)

    def _where(self, key: str) -> str:
        return f"{self.uri}/{key}" if key else self.uri

    def _place(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._key(key)}

    def _key(self, key: str) -> str:
        """The whole key of the object `key`."""
        check_key(key)
        whole = f"{self._root}/{key}" if self._root else key
        fault = ""
        if len(whole.encode()) > MAX_KEY_BYTES:
            fault = f"makes a key of more than {MAX_KEY_BYTES} bytes"
        elif re.search(r"[\x00-\x1f\x7f\ufffe\uffff]", whole):
            fault = "has a character in it that XML, in which S3 speaks, cannot hold"
        if fault:
            raise InputError(
                f"the object name {key[:80]!r} {fault}", where=self.uri, remedy="Choose another name."
            )
        return whole


def _batches(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    return (keys[first : first + _DELETE_BATCH] for first in range(0, len(keys), _DELETE_BATCH))


def _target(place: dict[str, str]) -> dict[str, str]:
    return {"bucket": place["Bucket"], "key": place["Key"]}


def _parsed(uri: str) -> tuple[str, str]:
    """Bucket and root of a URI."""
    bucket, _, root = uri.removeprefix("s3://").partition("/")
    root = root.rstrip("/")
    plain = not re.search(r"[?#%@]", uri) and _BUCKET.fullmatch(bucket) is not None
    if not plain:
        raise InputError(
            "an S3 URI is s3://bucket/folder, without user, query, fragment and percent escape",
            where=without_secrets(uri),
            remedy="Write the bucket's name and the folder; endpoint and credentials come from AWS's variables.",
        )
    if root:
        check_key(root)
    return bucket, root
