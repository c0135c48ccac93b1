"""What verbs that talk to a cluster share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from raygen.errors import MissingExtraError


@contextmanager
def needs_cluster() -> Iterator[None]:
    """Around imports of what the extra `operator` installs.

    Raises:
        MissingExtraError: it is not installed; says how to.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "raygen":
            raise
        raise MissingExtraError(error.name or "kubernetes", "operator") from error
