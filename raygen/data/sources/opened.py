"""A file that is open, wherever it is: seekable, and what fails while it is read is told as a fault of the data."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import BinaryIO, cast

from raygen.data.sources.raw import Raw
from raygen.errors import DataError, InputError


class Opened(Raw):
    """A file that is read, whose errors are those of the data.

    Args:
        source: Where the bytes come from; closed with this.
        explain: Makes the error that is raised, of one that reading raised.
    """

    def __init__(self, source: BinaryIO | io.RawIOBase, explain: Callable[[Exception], DataError]) -> None:
        self._source = source
        self._explain = explain

    def seekable(self) -> bool:
        """True: a file and an object are."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._source.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves there."""
        return self._source.seek(offset, whence)

    def fill(self, view: memoryview) -> int:
        """Reads what is there, at most as much as fits."""
        try:
            return cast("io.RawIOBase", self._source).readinto(view) or 0
        except (OSError, InputError) as error:
            raise self._explain(error) from error

    def close(self) -> None:
        """Closes the source too."""
        self._source.close()
        super().close()
