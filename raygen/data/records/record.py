"""What every format is read into, record by record."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from raygen.errors import DataError

Label = int | str
KEPT_BYTES = 1 << 16
"""The most that a broken record keeps of its content."""


@dataclass(frozen=True, slots=True)
class Record:
    """A document, picture or piece of music, as its source has it.

    Attributes:
        key: What it is known by, the same wherever the data lies and whoever reads it: path within the source and place in
            the file, such as `a/b.jsonl#17` (of lines, members of a tar and samples of MDS the offset in bytes, unpacked; of
            tables the row); of a file that is one record its path.
        where: URI of the file and the place in it, for messages: `s3://bucket/a/b.jsonl:18`.
        content: Text, of music the names of its tokens; or the content of an image file.
        label: Class, as the source has it; None where there is none. A table may hold values of other types than those
            named, which are for the user of the label to refuse.
        records, is_estimate: As of a `BrokenRecord`, which this may turn out to be.
    """

    key: str
    where: str
    content: str | bytes
    label: Label | None = None
    records: ClassVar[int] = 1
    is_estimate: ClassVar[bool] = False

    def with_content(self, content: str | bytes) -> Record:
        """The same record with other content."""
        return replace(self, content=content)


@dataclass(frozen=True, slots=True)
class BrokenRecord:
    """A record that cannot be used, and why; of a file that is damaged all that follows the last record.

    Attributes:
        key: As of a `Record`; of what follows the last record the file's.
        where: As of a `Record`.
        reason: Why, to follow a colon.
        content: What there is of it, up to KEPT_BYTES; empty where nothing can be kept.
        remedy: What to do about it, in the imperative.
        records: How many records it stands for: of the rest of a file as many as are lost.
        is_estimate: Whether nobody counted these.
    """

    key: str
    where: str
    reason: str
    content: bytes = b""
    remedy: str = ""
    records: int = 1
    is_estimate: bool = False

    @classmethod
    def of(cls, key: str, error: DataError, content: bytes = b"", where: str = "") -> BrokenRecord:
        """What an error says; `where` is for one that names no place."""
        return cls(key, error.where or where, error.what, content[:KEPT_BYTES], error.remedy)

    def error(self) -> DataError:
        """The error of who cannot go on without this record."""
        return DataError(self.reason, where=self.where, remedy=self.remedy)
