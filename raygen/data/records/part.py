"""Parts of sources: what one task reads at a time. They say where to read and hold no data, so they are small and picklable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from raygen.data.sources.files import AnyFile, file_at

WHOLE = 1 << 62
"""Size of parts that cuts nothing: each source is one part."""
MOST_FILES = 2048
"""The most files of a part, unless all are to be in one."""


@dataclass(frozen=True)
class PartFile:
    """A file of a part, as its listing has it.

    Attributes:
        uri: Where it is: a path on this machine, or an s3:// URI.
        key: Its path within the source.
        size: Bytes.
        label: Class of all that it holds, where its folder says so.
    """

    uri: str
    key: str
    size: int
    label: str | None = None

    @property
    def file(self) -> AnyFile:
        """The file itself."""
        return file_at(self.uri, tuple(self.key.split("/")), self.size)


@dataclass(frozen=True)
class Part:
    """Some of a source: several files, or a range of one.

    All values are JSON's own, so that `dataclasses.asdict` gives a document.

    Attributes:
        source: Number of the source in the split.
        files: What to read, in this order.
        start: Where the range begins: a byte of lines, a row group, a record batch, a shard of a hub's data set.
        stop: Where it ends; None at the end of the file.
        records: How many records there are at most, where that is known without reading.
    """

    source: int
    files: tuple[PartFile, ...]
    start: int = 0
    stop: int | None = None
    records: int | None = None


@dataclass(frozen=True)
class Piece:
    """A file or a range of it, before pieces are put together to parts; attributes as of a `Part`."""

    file: PartFile
    start: int = 0
    stop: int | None = None
    records: int | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it is the whole file."""
        return self.start == 0 and self.stop is None


def grouped(source: int, pieces: Iterable[Piece], size: int) -> list[Part]:
    """Puts whole files that are neighbours together, up to `size` bytes and MOST_FILES files; ranges stay alone."""
    return [
        Part(source, tuple(piece.file for piece in group), group[0].start, group[0].stop, _records(group))
        for group in _groups(pieces, size)
    ]


def _groups(pieces: Iterable[Piece], size: int) -> Iterator[list[Piece]]:
    group: list[Piece] = []
    held = 0
    for piece in pieces:
        full = held + piece.file.size > size or (len(group) == MOST_FILES and size < WHOLE)
        if group and (full or not piece.is_whole or not group[-1].is_whole):
            yield group
            group, held = [], 0
        group.append(piece)
        held += piece.file.size
    if group:
        yield group


def _records(group: list[Piece]) -> int | None:
    counts = [piece.records for piece in group if piece.records is not None]
    return sum(counts) if len(counts) == len(group) else None
