"""Files that hold one record each: texts, images and pieces of music."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from raygen.data.images.formats import (
    HEAD_BYTES,
    OTHER_SUFFIXES,
    READABLE,
    SUFFIXES,
    is_image,
)
from raygen.data.music.midi import MOST_BYTES
from raygen.data.music.remi import text_of_midi
from raygen.data.records.listing import Records, chosen_files, part_files, too_long
from raygen.data.records.part import Part, Piece
from raygen.data.records.record import BrokenRecord, Record
from raygen.data.remarks import Remarks
from raygen.data.sources.compressed import unpacked
from raygen.data.sources.files import AnyFile, contents, find_files, heads
from raygen.data.text.plain_text import text_of
from raygen.errors import DamagedError, DataError
from raygen.spec import Source
from raygen.spec.data.sources import MUSIC_FORMAT, ResolvedSource

MUSIC_SUFFIXES = (".mid", ".midi")


def pieces(source: ResolvedSource, base: Path, remarks: Remarks, size: int) -> Sequence[Piece]:
    """The files, whole; see `raygen.data.records.parts`."""
    del size
    files: Sequence[AnyFile] = [] if source.format == MUSIC_FORMAT else find_files(source, base, remarks)
    labels: list[str | None] | None = None
    if source.format == "ImageFolder":
        files = _images(files, remarks)
        if not files:
            raise no_images(source, remarks)
        classes = all(len(file.inner) > 1 for file in files)
        labels = [file.inner[0] if classes else None for file in files]
    if source.format == MUSIC_FORMAT:
        files = chosen_files(source, base, remarks, "MIDI", lambda file: file.suffix in MUSIC_SUFFIXES)
    return [Piece(file, records=1) for file in part_files(files, source, base, labels)]


def read(part: Part, source: ResolvedSource, base: Path, remarks: Remarks, limit: int) -> Records:
    """The records; see `raygen.data.records.parts`."""
    del base
    if source.format == MUSIC_FORMAT:
        limit = min(limit, MOST_BYTES)
    content = contents([file.file for file in part.files if file.size <= limit])
    for file in part.files:
        if file.size > limit:
            yield too_long(file.key, file.uri, limit)
        elif source.format == "ImageFolder":
            yield Record(file.key, file.uri, next(content), file.label)
        elif source.format == MUSIC_FORMAT:
            yield from _music(file.key, file.uri, next(content), remarks)
        else:
            yield from _text(file.key, file.uri, next(content), remarks, limit)


def _text(key: str, uri: str, content: bytes, remarks: Remarks, limit: int) -> Records:
    try:
        text = text_of(unpacked(content, uri, remarks, limit), uri)
    except DamagedError as error:
        yield BrokenRecord.of(key, error, content)
        return
    if text:
        yield Record(key, uri, text)
    else:
        remarks.skipped("file", "it is empty", uri)


def _music(key: str, uri: str, content: bytes, remarks: Remarks) -> Records:
    try:
        text = text_of_midi(content, uri, remarks)
    except DataError as error:
        yield BrokenRecord.of(key, error, content)
        return
    if text:
        yield Record(key, uri, text)
    else:
        remarks.skipped("file", "it holds no notes", uri)


def no_images(source: Source, remarks: Remarks) -> DataError:
    """What to say of a source without images."""
    skipped = "".join(f"; {remark}" for remark in remarks.all())
    return DataError(f"there are no images{skipped}", where=source.uri, remedy=f"Give {READABLE} images.")


def _images(files: Sequence[AnyFile], remarks: Remarks) -> list[AnyFile]:
    """The files that are images by their names, or where these say nothing by their contents."""
    unknown = [file for file in files if file.suffix not in SUFFIXES and file.suffix not in OTHER_SUFFIXES]
    looks = map(is_image, heads(unknown, HEAD_BYTES))
    chosen = []
    for file in files:
        if file.suffix in OTHER_SUFFIXES:
            remarks.skipped("file", f"its format is not read; {READABLE} is", str(file))
        elif file.suffix in SUFFIXES or next(looks):
            chosen.append(file)
        else:
            remarks.skipped("file", "it is not an image", str(file))
    return chosen
