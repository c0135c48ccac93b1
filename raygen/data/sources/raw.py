"""What the streams of this package have in common."""

from __future__ import annotations

import io
from typing import cast


class Raw(io.RawIOBase):
    """A stream of bytes that is read; a subclass says what comes next."""

    def readable(self) -> bool:
        """True: it reads."""
        return True

    def readinto(self, buffer: object, /) -> int:
        """Reads what is there, at most as much as fits."""
        return self.fill(memoryview(cast("bytearray", buffer)).cast("B"))

    def fill(self, view: memoryview) -> int:
        """Puts the next bytes into `view`, whose items are bytes.

        Returns:
            How many; 0 at the end.
        """
        raise NotImplementedError
