"""The words and phrases of a block list."""

from __future__ import annotations

from pathlib import Path

from raygen.data.remarks import Remarks
from raygen.data.sources.files import contents, find_files
from raygen.data.text.plain_text import text_of
from raygen.spec.data.cleaning import BlockList
from raygen.spec.data.sources import Source


def listed(spec: BlockList, base: Path) -> list[str]:
    """The words and phrases of a list, each once and with single blanks; longer ones first, so that a phrase is found before its first word.

    Args:
        spec: The list.
        base: Folder that its relative path starts from.

    Raises:
        DataError: its file cannot be read.
    """
    found = _lines(spec.uri, base) if spec.uri is not None else spec.words or ()
    words = {" ".join(word.split()) for word in found}
    return sorted(words - {""}, key=lambda word: (-len(word), word))


def _lines(uri: str, base: Path) -> list[str]:
    files = find_files(Source(uri=uri), base, Remarks())
    texts = (text_of(content, str(file)) for file, content in zip(files, contents(files), strict=True))
    return [line for text in texts for line in text.splitlines()]
