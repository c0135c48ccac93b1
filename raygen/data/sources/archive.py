"""Reads tar archives member by member, as they come: ustar, with the long names of pax and GNU tar. Nothing is unpacked to disk."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass

from raygen.data.remarks import Remarks, printable
from raygen.data.sources.compressed import Readable
from raygen.errors import DamagedError

BLOCK = 512
"""Headers and contents begin at multiples of this many bytes."""
_PIECE = 1 << 20
_LONGEST_NAMES = 1 << 20
"""The most bytes of a header that holds names and other attributes."""
_NO_FILES = {
    tarfile.LNKTYPE: "it is a link",
    tarfile.SYMTYPE: "it is a link",
    tarfile.CHRTYPE: "it is a device",
    tarfile.BLKTYPE: "it is a device",
    tarfile.FIFOTYPE: "it is a pipe",
    tarfile.GNUTYPE_SPARSE: "it is a file with holes",
}
_SPARSE_MORE_AT, _SPARSE_STILL_MORE_AT = 482, 504
"""Where the header of a file with holes, and each block behind it, says that another one follows."""


@dataclass
class Member:
    """A member whose content comes next; it is passed over if nobody reads it before the next one.

    Attributes:
        name: Its path in the archive, as that has it.
        at: Offset of its header, in bytes.
        size: Bytes of its content.
        reason: Why it cannot be read, to follow a colon; empty for files.
    """

    name: str
    at: int
    size: int
    reason: str
    _archive: _Archive

    def read(self) -> bytes:
        """Its content; DamagedError if the archive ends within it."""
        return self._archive.read(self.size, f"the member {printable(self.name)}")


def members(stream: Readable, uri: str, remarks: Remarks) -> Iterator[Member]:
    """The members of an archive that are no folders, in order.

    Args:
        stream: The archive, unpacked.
        uri: What to call it.
        remarks: Takes what is odd about its end.

    Raises:
        DamagedError: It is damaged or cut off; says at which byte.
    """
    archive = _Archive(stream, uri)
    name: str | None = None
    pax: dict[str, bytes] = {}
    while (header := archive.header()) is not None:
        at, info, block = header
        if info.type in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE):
            pax = _pax(archive.names(info.size), archive, at)
        elif info.type == tarfile.GNUTYPE_LONGNAME:
            name = archive.names(info.size).rstrip(b"\0").decode("utf-8", "surrogateescape")
        elif info.type in (tarfile.XGLTYPE, tarfile.GNUTYPE_LONGLINK):
            archive.names(info.size)
        else:
            if "path" in pax:
                name = pax["path"].decode("utf-8", "surrogateescape")
            size = int(pax["size"]) if pax.get("size", b"").isdigit() else info.size
            member = _member(name or info.name, at, size, info, archive)
            if any(key.startswith("GNU.sparse") for key in pax):
                member.reason = _NO_FILES[tarfile.GNUTYPE_SPARSE]
            more = info.type == tarfile.GNUTYPE_SPARSE and block[_SPARSE_MORE_AT]
            while more:
                more = archive.exactly(BLOCK, "a header")[_SPARSE_STILL_MORE_AT]
            end = archive.at + member.size + -member.size % BLOCK
            if not info.isdir() and info.type not in (b"V", b"D"):
                yield member
            archive.pass_over(end - archive.at)
            name, pax = None, {}
    archive.tell_end(remarks)


def _member(name: str, at: int, size: int, info: tarfile.TarInfo, archive: _Archive) -> Member:
    # As tarfile has it: of links, devices and folders no content follows, whatever their size says.
    follows = info.isreg() or info.type not in tarfile.SUPPORTED_TYPES
    return Member(name, at, size if follows else 0, _NO_FILES.get(info.type, ""), archive)


class _Archive:
    """The blocks of an archive.

    Attributes:
        at: Offset of the next byte.
    """

    def __init__(self, stream: Readable, uri: str) -> None:
        self.at = 0
        self._stream = stream
        self._uri = uri
        self._marked = False

    def header(self) -> tuple[int, tarfile.TarInfo, bytes] | None:
        """The next header with its offset and bytes; None at the end."""
        at, block = self.at, self._upto(BLOCK)
        if not block:
            return None
        if len(block) < BLOCK:
            raise self.fault(f"it is cut off within a header at byte {at}")
        if not block.strip(b"\0"):
            self._marked = True
            return None
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        # A number that is none raises ValueError in old versions of Python.
        except (tarfile.HeaderError, ValueError) as error:
            raise self.fault(f"there is no header at byte {at}") from error
        if info.size < 0:
            raise self.fault(f"there is no header at byte {at}")
        return at, info, block

    def names(self, size: int) -> bytes:
        """The content of a header that holds names."""
        if size > _LONGEST_NAMES:
            raise self.fault(f"names of {size:,} bytes stand at byte {self.at}")
        content = self.exactly(size, "a header")
        self.pass_over(-size % BLOCK)
        return content

    def read(self, size: int, what: str) -> bytes:
        """A content."""
        return self.exactly(size, what)

    def exactly(self, count: int, what: str) -> bytes:
        """As many bytes."""
        start = self.at
        content = self._upto(count)
        if len(content) < count:
            raise self.fault(f"it is cut off within {what} that begins at byte {start}")
        return content

    def pass_over(self, count: int) -> None:
        """Leaves out as many bytes."""
        start, left = self.at, count
        while left:
            piece = self._upto(min(left, _PIECE))
            if not piece:
                raise self.fault(f"it is cut off within a member that begins at byte {start}")
            left -= len(piece)

    def tell_end(self, remarks: Remarks) -> None:
        """Remarks on an archive that does not end as archives do."""
        if not self._marked:
            if self.at:
                remarks.converted("file", "it lacks the mark of its end, and may be cut off", self._uri)
            return
        while rest := self._upto(_PIECE):
            if rest.strip(b"\0"):
                remarks.skipped("file's end", "something follows the end of the archive", self._uri)
                return

    def fault(self, why: str) -> DamagedError:
        """What is wrong with the archive."""
        return DamagedError(
            f"is not a tar archive, or is damaged: {why}",
            where=self._uri,
            remedy="Restore the file, or leave it out.",
        )

    def _upto(self, count: int) -> bytes:
        pieces, left = [], count
        while left and (piece := self._stream.read(min(left, _PIECE))):
            pieces.append(piece)
            left -= len(piece)
        self.at += count - left
        return b"".join(pieces)


def _pax(content: bytes, archive: _Archive, at: int) -> dict[str, bytes]:
    """The attributes of a pax header: records of their own length, a key and a value."""
    found: dict[str, bytes] = {}
    while content.strip(b"\0"):
        length, _, rest = content.partition(b" ")
        if not length.isdigit() or not len(length) + 1 < int(length) <= len(content):
            raise archive.fault(f"the attributes at byte {at} cannot be read")
        key, _, value = rest[: int(length) - len(length) - 2].partition(b"=")
        found[key.decode("utf-8", "replace")] = value
        content = content[int(length) :]
    return found
