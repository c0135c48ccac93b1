"""A seekable reader of one object, by ranges."""

from __future__ import annotations

import io
import math
import time
from contextlib import suppress
from typing import Any

from botocore.exceptions import IncompleteReadError

from raygen.errors import OutputError
from raygen.storage.s3.client import Connection
from raygen.storage.s3.faults import FAILURES, code_of, is_transient, refuse

READ_AHEAD_BYTES = 32 << 20
"""The most that one request asks for; what is not read of it stays on the server and in the socket."""
_SKIP_BYTES = 1 << 20


class Reader(io.RawIOBase):
    """Reads from where it stands, over one request as long as that lasts.

    An answer that is cut off is asked for again from there. Every request names the object's ETag, so that
    bytes of two versions never mix.

    Args:
        connection: To the server.
        bucket: The bucket.
        key: The whole key.
        size: The object's size in bytes.
        etag: Of the version to read; "" if the server gives none.
        where: The object, for messages.
    """

    def __init__(
        self, connection: Connection, bucket: str, key: str, size: int, etag: str, where: str
    ) -> None:
        self._connection = connection
        self._place = {"Bucket": bucket, "Key": key, **({"IfMatch": etag} if etag else {})}
        self._size = size
        self._where = where
        self._position = 0
        self._body: Any = None
        self._body_at = self._body_end = 0

    def readable(self) -> bool:
        """True: it reads."""
        return True

    def seekable(self) -> bool:
        """True: each read asks for its own range."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves; asks for nothing yet."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise ValueError(f"negative position {start + offset}")
        self._position = start + offset
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        """Fills `buffer` as far as the object goes."""
        view = memoryview(buffer).cast("B")
        view = view[: max(min(len(view), self._size - self._position), 0)]
        deadline, attempt = math.inf, 0
        while view:
            self._stand()
            try:
                count = self._some(view)
            except FAILURES as error:
                # Requests repeat by themselves (`Connection.run`); this is an answer that was cut off.
                self._drop()
                attempt, now, patience = attempt + 1, time.monotonic(), self._connection.patience
                deadline = min(deadline, now + patience.seconds)
                if now >= deadline or not is_transient(error):
                    refuse(error, self._where, "read", self._connection.endpoint)
                time.sleep(patience.wait(attempt, throttled=False))
            else:
                self._position += count
                return count
        return 0

    def close(self) -> None:
        """Ends the request."""
        self._drop()
        super().close()

    def _stand(self) -> None:
        """Makes a request from here on, unless one is under way that comes by soon."""
        ahead = self._position - self._body_at
        if self._body is not None and 0 <= ahead <= _SKIP_BYTES and self._position < self._body_end:
            return
        self._drop()
        end = min(self._position + READ_AHEAD_BYTES, self._size)
        wanted = f"bytes={self._position}-{end - 1}"
        try:
            answer = self._connection.run(lambda client: client.get_object(**self._place, Range=wanted))
        except FAILURES as error:
            if code_of(error) in ("PreconditionFailed", "412"):
                raise OutputError(
                    "the object was replaced while it was read",
                    where=self._where,
                    remedy="Run the same again, with nobody else writing there.",
                ) from error
            refuse(error, self._where, "read", self._connection.endpoint)
        if answer["ContentLength"] != end - self._position:
            raise OutputError(
                "the server gives other bytes than those that were asked for (Range)",
                where=self._where,
                remedy="Use a server that knows range requests.",
            )
        self._body, self._body_at, self._body_end = answer["Body"], self._position, end

    def _some(self, view: memoryview) -> int:
        """Reads at least one byte into `view`."""
        while self._body_at < self._position:
            self._advance(len(self._body.read(self._position - self._body_at)))
        count = int(self._body.readinto(view[: self._body_end - self._body_at]))
        self._advance(count)
        return count

    def _advance(self, count: int) -> None:
        if count == 0:
            raise IncompleteReadError(actual_bytes=self._body_at, expected_bytes=self._body_end)
        self._body_at += count

    def _drop(self) -> None:
        if self._body is not None:
            with suppress(*FAILURES, OSError):
                self._body.close()
            self._body = None
