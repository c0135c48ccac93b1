"""Tar shards in the layout of WebDataset: neighbours whose names are alike up to the first dot are a sample.

Members are read as they come, and never unpacked to disk.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raygen.data.images.formats import SUFFIXES
from raygen.data.records.listing import Reading, Records, chosen_files, each_file, part_files, too_long
from raygen.data.records.part import Part, PartFile, Piece
from raygen.data.records.record import BrokenRecord, Label, Record
from raygen.data.remarks import Remarks, printable
from raygen.data.sources.archive import BLOCK, Member, members
from raygen.data.sources.compressed import Stream, unpacking
from raygen.data.sources.files import AnyFile
from raygen.errors import DamagedError
from raygen.spec.data.sources import ResolvedSource

_SUFFIXES = (".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst", ".tar.lz4", ".tar.lzma")
_MAGIC_AT, _MAGIC = 257, b"ustar"
_IMAGE_REMEDY = "Write each image into a member of its own, named after its sample: 0001.jpg."
_TEXT_REMEDY = "Write each text into a .txt member, or under the key that `field` names in .json."


@dataclass
class _Sample:
    """What is known of a sample while its members come in.

    Attributes:
        name: What its members are called up to the first dot.
        at: Offset of its first member.
        members: Contents that are needed, by the end of the name in lower case.
        ends: Ends of all of its members.
        size: Bytes of the contents.
        fault: Why it cannot be used.
    """

    name: str
    at: int
    members: dict[str, bytes] = field(default_factory=dict)
    ends: list[str] = field(default_factory=list)
    size: int = 0
    fault: str = ""

    @property
    def is_there(self) -> bool:
        """Whether there is more of it than what was skipped, such as links."""
        return bool(self.ends or self.fault)


def pieces(source: ResolvedSource, base: Path, remarks: Remarks, size: int) -> Sequence[Piece]:
    """The files, whole; see `raygen.data.records.parts`."""
    del size
    files = chosen_files(source, base, remarks, "tar", _is_tar)
    return [Piece(file) for file in part_files(files, source, base)]


def _is_tar(file: AnyFile) -> bool:
    return str(file).lower().endswith(_SUFFIXES) or file.head(BLOCK)[_MAGIC_AT:].startswith(_MAGIC)


def read(part: Part, source: ResolvedSource, base: Path, remarks: Remarks, limit: int) -> Records:
    """The records; see `raygen.data.records.parts`."""
    del base
    return each_file(part, lambda file, reading: _records(file, reading, source, remarks, limit))


def _records(
    file: PartFile, reading: Reading, source: ResolvedSource, remarks: Remarks, limit: int
) -> Records:
    wanted = _Wanted(source)
    with reading.opened(file) as opened:
        sample = None
        for sample in _samples(unpacking(opened, file.uri, remarks), file.uri, wanted, remarks, limit):
            key = f"{file.key}#{sample.at}"
            where = f"{file.uri}, sample {printable(sample.name)} at byte {sample.at}"
            if sample.size > limit:
                yield too_long(key, where, limit)
            elif sample.fault:
                yield BrokenRecord(key, where, sample.fault, remedy="Write the shard again, or leave it out.")
            else:
                yield wanted.record(sample, key, where)
        if sample is None:
            remarks.skipped("file", "it is empty" if file.size == 0 else "it holds no samples", file.uri)


class _Wanted:
    """What a source wants of each sample.

    Args:
        source: The source.
    """

    def __init__(self, source: ResolvedSource) -> None:
        self._is_image = source.contents == "Images"
        self._field = source.field or ""
        self._label = source.label_field
        self._usual = self._field == ("image" if self._is_image else "text")
        self._takes_label = self._is_image or self._label is not None

    def needs(self, end: str) -> bool:
        """Whether the content of members with this end matters; other ones are passed over."""
        if end in {"json", self._field.lower(), (self._label or "").lower()}:
            return end != "json" or not self._is_image or self._takes_label
        if self._usual and (is_image_end(end) if self._is_image else end == "txt"):
            return True
        return self._takes_label and self._label is None and end == "cls"

    def record(self, sample: _Sample, key: str, where: str) -> Record | BrokenRecord:
        """The record of a sample, or why there is none."""
        try:
            document = _object(sample.members.get("json"))
            content = self._image(sample) if self._is_image else self._text(sample, document)
            return Record(key, where, content, self._label_of(sample, document))
        except DamagedError as error:
            kept = next(iter(sample.members.values()), b"")
            return BrokenRecord.of(key, error, kept, where)

    def _image(self, sample: _Sample) -> bytes:
        found = [end for end in sample.members if is_image_end(end)]
        if not self._usual:
            found = [end for end in sample.members if end == self._field.lower()]
        if len(found) == 1:
            return sample.members[found[0]]
        ends = ", ".join(f".{end}" for end in sample.ends) or "no files"
        if found:
            raise DamagedError(
                f"the sample has several images: {', '.join(f'.{end}' for end in found)}",
                remedy="Name the end of the one to use in the source's field.",
            )
        end = "" if self._usual else f" with the end .{self._field}"
        raise DamagedError(f"the sample has no image{end}; it has {ends}", remedy=_IMAGE_REMEDY)

    def _text(self, sample: _Sample, document: dict[str, Any]) -> str:
        end = "txt" if self._usual else self._field.lower()
        if end in sample.members:
            return _decoded(sample.members[end], f"the text in .{end}")
        text = document.get(self._field)
        if isinstance(text, str):
            return text
        ends = ", ".join(f".{end}" for end in sample.ends) or "no files"
        keys = f", and in .json the keys {', '.join(sorted(document)[:8])}" if document else ""
        raise DamagedError(
            f"the sample has no text {self._field!r}; it has {ends}{keys}", remedy=_TEXT_REMEDY
        )

    def _label_of(self, sample: _Sample, document: dict[str, Any]) -> Label | None:
        if not self._takes_label:
            return None
        end = (self._label or "cls").lower()
        if end in sample.members and end != "json":
            text = _decoded(sample.members[end], f"the label in .{end}").strip()
            return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else text
        label: Label | None = document.get(self._label or "label")
        return label


def is_image_end(end: str) -> bool:
    """Whether a member with this end is an image that is read: `jpg`, also `rgb.jpg`."""
    return f".{end.rpartition('.')[2]}" in SUFFIXES


def _object(content: bytes | None) -> dict[str, Any]:
    if content is None:
        return {}
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DamagedError("the sample's .json is not JSON", remedy=_TEXT_REMEDY) from error
    return document if isinstance(document, dict) else {}


def _decoded(content: bytes, what: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DamagedError(
            f"{what} is not UTF-8 (byte {content[error.start]:#04x} at offset {error.start})",
            remedy="Convert it to UTF-8, or leave it out.",
        ) from error


def _samples(stream: Stream, uri: str, wanted: _Wanted, remarks: Remarks, limit: int) -> Iterator[_Sample]:
    """The samples of a shard in order. The last one of a shard that is cut off is not among them."""
    sample: _Sample | None = None
    for member in members(stream, uri, remarks):
        folder, _, base = member.name.removeprefix("./").rpartition("/")
        stem, _, end = base.partition(".")
        if not stem or "__MACOSX" in folder or (base.startswith("__") and base.endswith("__")):
            if base:
                remarks.skipped("member", "it is hidden, or notes of a system", _where(uri, member))
            continue
        if not end:
            why = "its name has no dot, and so it belongs to no sample"
            remarks.skipped("member", why, _where(uri, member))
            continue
        name = f"{folder}/{stem}" if folder else stem
        if sample is None or name != sample.name:
            if sample is not None and sample.is_there:
                yield sample
            sample = _Sample(name, member.at)
        sample.fault = sample.fault or _leads_out(member.name)
        if member.reason:
            remarks.skipped("member", member.reason, _where(uri, member))
        else:
            _take(sample, member, end.lower(), wanted, limit)
    if sample is not None and sample.is_there:
        yield sample


def _where(uri: str, member: Member) -> str:
    return f"{uri}, {printable(member.name)} at byte {member.at}"


def _take(sample: _Sample, member: Member, end: str, wanted: _Wanted, limit: int) -> None:
    """Reads a member into its sample, if it is needed."""
    if end in sample.ends:
        sample.fault = sample.fault or f"the sample has .{end} twice"
    sample.ends.append(end)
    if wanted.needs(end) and not sample.fault:
        sample.size += member.size
        if sample.size > limit:
            sample.members.clear()
        else:
            sample.members[end] = member.read()


def _leads_out(name: str) -> str:
    """Why a name cannot be one of a shard's: it would lead elsewhere, were it unpacked."""
    if name.startswith("/") or name[1:3] in (":/", ":\\"):
        return f"the member's name {printable(name)!r} is an absolute path"
    if ".." in name.replace("\\", "/").split("/"):
        return f"the member's name {printable(name)!r} leads out of its folder"
    return ""
