"""Asks for the extra that a verb needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from raygen.errors import MissingExtraError


@contextmanager
def needs(extra: str, package: str) -> Iterator[None]:
    """Around imports of what an extra installs, of which `package` is the best known.

    Raises:
        MissingExtraError: it is not installed; says how to.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "raygen":
            raise
        raise MissingExtraError(error.name or package, extra) from error
