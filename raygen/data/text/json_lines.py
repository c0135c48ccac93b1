"""Takes the texts out of JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from raygen.data.remarks import Remarks
from raygen.data.text.tokenizers import to_utf8
from raygen.errors import DataError
from raygen.spec.schema.messages import nearest

_LISTED = 8
"""Keys of a line that an error names."""


class JsonLines:
    """The JSON lines of one source, file by file.

    Writers of tables leave out the key of a value that is null, so a line without the text's key is skipped where another
    line of the source has it. Where none has it, the key is wrong.

    Args:
        field: The key of the text.
        remarks: Takes what is skipped.
    """

    def __init__(self, field: str, remarks: Remarks) -> None:
        self._field = field
        self._remarks = remarks
        self._known = False
        self._fault: DataError | None = None

    def texts(self, content: str, path: str) -> Iterator[str]:
        """The texts of a file, in order.

        Raises:
            DataError: A line is not a JSON object, or has something else than a text.
        """
        # Only "\n" ends a line of JSON lines; str.splitlines would also break at U+2028 inside a string.
        for number, line in enumerate(content.split("\n"), start=1):
            if not line.strip():
                continue
            where = f"{path}:{number}"
            row = _row(line, where)
            if self._field not in row:
                self._fault = self._fault or _without(self._field, sorted(row), where)
                self._remarks.skipped("line", f"it has no key {self._field!r}", where)
                continue
            self._known = True
            document = _text_of(row, self._field, where)
            if document:
                yield document
            else:
                why = "its text is null" if document is None else "its text is empty"
                self._remarks.skipped("line", why, where)

    def close(self) -> None:
        """Ends the source.

        Raises:
            DataError: There were lines, and none had the key; names the first.
        """
        if self._fault is not None and not self._known:
            raise self._fault


def _row(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        if line.strip() == "[":
            raise _one_document("begins a JSON array", ".[]", where) from error
        if line.strip() == "{":
            raise _one_document("begins a JSON object of several lines", ".", where) from error
        raise DataError(
            "is not a JSON object; the line may be cut off",
            where=where,
            remedy="Write one complete JSON object per line.",
        ) from error
    if isinstance(row, list) and row and isinstance(row[0], dict):
        raise _one_document("is a JSON array", ".[]", where)
    if not isinstance(row, dict):
        raise DataError(
            f"is not a JSON object, but {line[:40]!r}",
            where=where,
            remedy="Write one JSON object per line, with the text under the key that `field` names.",
        )
    return row


def _one_document(what: str, query: str, where: str) -> DataError:
    return DataError(
        f"{what}, and JSON lines have one object in each line",
        where=where,
        remedy=f"Convert it, for example with: jq -c '{query}' FILE.json > FILE.jsonl",
    )


def _without(field: str, keys: list[str], where: str) -> DataError:
    close = nearest(field, keys)
    meant = f"Did you mean {close!r}? " if close is not None else ""
    return DataError(
        f"has no text under the key {field!r}; it has the keys {keys[:_LISTED]}",
        where=where,
        remedy=f"{meant}Name the key that holds the text in the source's `field`.",
    )


def _text_of(row: dict[str, Any], field: str, where: str) -> str | None:
    """The text of a line; None for null, which tables write for a missing one, and NaN, as pandas has it."""
    document = row[field]
    if document is None or document != document:
        return None
    if not isinstance(document, str):
        raise DataError(
            f"has {_KINDS[type(document)]} under the key {field!r}, and not a text",
            where=where,
            remedy="Write it as a JSON string, or name the key that holds the text in the source's `field`.",
        )
    try:
        to_utf8(document)
    except DataError as error:
        raise DataError(error.what, where=where, remedy=error.remedy) from error
    return document


_KINDS = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}
