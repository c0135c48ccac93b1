"""Finds what regular patterns describe, in a time that grows with the text alone: by RE2, which does not go back."""

from __future__ import annotations

from collections.abc import Sequence

from raygen.data.sensitive.credentials import Span
from raygen.errors import InputError, MissingExtraError
from raygen.moderation.filters.words import merged

_MEMORY = 8 << 20
"""Bytes that a compiled pattern may take."""


class Patterns:
    """Regular patterns in RE2's syntax, which has neither look-around nor back-references, and whose classes of words, digits and blanks know ASCII alone.

    Args:
        patterns: At least one.
        where: The field that has them, for messages.

    Raises:
        MissingExtraError: google-re2 is not installed.
        InputError: one is not a pattern of RE2, or takes too much memory.
    """

    def __init__(self, patterns: Sequence[str], where: str) -> None:
        try:
            import re2
        except ImportError as error:
            raise MissingExtraError("google-re2", "moderation") from error
        options = re2.Options()
        options.log_errors = False
        options.max_mem = _MEMORY
        self._compiled = []
        for number, pattern in enumerate(patterns):
            try:
                self._compiled.append(re2.compile(pattern, options=options))
            except re2.error as error:
                words = error.args[0] if error.args else ""
                raise InputError(
                    f"RE2 does not take this pattern: {words.decode() if isinstance(words, bytes) else words}",
                    where=f"{where}[{number}]",
                    remedy="Write it in RE2's syntax, without look-around and back-references.",
                ) from error

    def find(self, text: str) -> list[Span]:
        """Where they match, in order and without overlaps; empty matches are left out."""
        # Half of a pair of surrogates has no UTF-8, which is what RE2 reads.
        readable = text.encode("utf-8", "replace").decode()
        found: list[Span] = [match.span() for one in self._compiled for match in one.finditer(readable)]
        return merged([(start, stop) for start, stop in found if start < stop])
