"""The files of a source as parts name them: with keys that say where in the source they are, wherever that is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from raygen.data.records.part import Part, PartFile
from raygen.data.records.record import BrokenRecord, Record
from raygen.data.remarks import Remarks
from raygen.data.sources.files import GLOB_CHARACTERS, AnyFile, find_files, local_path
from raygen.errors import DamagedError, DataError
from raygen.spec import Source

Records = Iterator[Record | BrokenRecord]


def part_files(
    files: Sequence[AnyFile], source: Source, base: Path, labels: Sequence[str | None] | None = None
) -> list[PartFile]:
    """Files of a listing with their keys: what follows the source's folder, or the part of a pattern without wildcards."""
    top = _top(source.uri, base)
    return [
        PartFile(str(file), _key(file, top), file.size, label)
        for file, label in zip(files, labels or [None] * len(files), strict=True)
    ]


def _top(uri: str, base: Path) -> str:
    """The folder that a pattern stands in, without the slash."""
    parts = uri.split("/")
    wild = next((at for at, part in enumerate(parts) if GLOB_CHARACTERS & set(part)), None)
    if wild is None:
        return ""
    plain = "/".join(parts[:wild])
    return plain if uri.lower().startswith("s3://") else str(local_path(plain, base))


def _key(file: AnyFile, top: str) -> str:
    inner, path = "/".join(file.inner), str(file)
    # A pattern may match files of one name in several folders.
    return path[len(top) + 1 :] if top and len(file.inner) == 1 and path.startswith(f"{top}/") else inner


def chosen_files(
    source: Source, base: Path, remarks: Remarks, noun: str, is_chosen: Callable[[AnyFile], bool]
) -> Sequence[AnyFile]:
    """The files of a source; where there are several, without those that are of another kind, which are told.

    Args:
        source: Where to look.
        base: Folder that relative paths start from.
        remarks: Takes what is left out.
        noun: What the files are.
        is_chosen: Whether a file is of this kind.

    Raises:
        DataError: There are none.
    """
    files = find_files(source, base, remarks)
    if len(files) == 1:
        return files
    chosen = [file for file in files if is_chosen(file)]
    for file in sorted(set(files).difference(chosen), key=str):
        remarks.skipped("file", f"it is not {noun}", str(file))
    if not chosen:
        raise DataError(
            f"there are no {noun} files",
            where=source.uri,
            remedy=f"Put {noun} files there, or correct the uri.",
        )
    return chosen


def each_file(part: Part, read: Callable[[PartFile], Records]) -> Records:
    """The records of each file in turn; what is damaged ends its file with a broken record, and the next one begins."""
    for file in part.files:
        try:
            yield from read(file)
        except DamagedError as error:
            yield BrokenRecord.of(file.key, error, where=file.uri)


def too_long(key: str, where: str, limit: int) -> BrokenRecord:
    """A record that is longer than the limit."""
    return BrokenRecord(
        key, where, f"is longer than {limit:,} bytes", remedy="Cut it into shorter records, or leave it out."
    )
