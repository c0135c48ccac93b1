"""The operating system's errors in raygen's words."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from raygen.errors import OutputError
from raygen.storage.base import NotFoundError

_FULL = (
    "the disk or the quota is full",
    "Free some space or choose another output, then run the same again.",
)
_READ_ONLY = ("the file system is read-only", "Choose an output that can be written.")
_DENIED = ("permission is denied", "Give this user permission there, or choose another output.")
_IN_THE_WAY = ("a file stands where a folder is needed", "Move that file away, or choose another output.")
_FOLDER = ("a folder stands where a file is needed", "Move that folder away, or choose another output.")
_TOO_LONG = ("the path is too long for the file system", "Choose a shorter output or run name.")

_CAUSES = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EROFS: _READ_ONLY,
    errno.EACCES: _DENIED,
    errno.EPERM: _DENIED,
    errno.ENOTDIR: _IN_THE_WAY,
    errno.EEXIST: _IN_THE_WAY,
    errno.EISDIR: _FOLDER,
    errno.ENAMETOOLONG: _TOO_LONG,
}


@contextmanager
def explained(path: Path, done: str, *, keep: type[OSError] | None = None) -> Iterator[None]:
    """Turns an OSError into NotFoundError or OutputError.

    Args:
        path: Where; for the message.
        done: What could not be done, as a participle: "written".
        keep: A kind of OSError that passes through unchanged.
    """
    try:
        yield
    except OSError as error:
        if keep is not None and isinstance(error, keep):
            raise
        missing = error.errno == errno.ENOENT or (error.errno == errno.ENOTDIR and done == "read")
        if missing and done == "read":
            raise NotFoundError("there is no such file", where=str(path)) from error
        cause, remedy = _CAUSES.get(
            error.errno or 0,
            (
                os.strerror(error.errno) if error.errno else str(error),
                "Check that disk, or choose another output.",
            ),
        )
        raise OutputError(f"cannot be {done}: {cause}", where=str(path), remedy=remedy) from error
