"""What every format is read into, and the parts that its files are read in."""

from __future__ import annotations

from dataclasses import dataclass, replace

Label = int | str


@dataclass(frozen=True, slots=True)
class Record:
    """A document, picture or piece of music, as its source has it.

    Attributes:
        key: What it is known by, the same wherever the data lies and whoever reads it: path within the source and place in
            the file, such as `a/b.jsonl#17`; of a file that is one record its path.
        where: URI of the file and the place in it, for messages: `s3://bucket/a/b.jsonl, line 18`.
        content: Text, or the content of an image file or MIDI file.
        label: Class, as the source has it; None where there is none.
    """

    key: str
    where: str
    content: str | bytes
    label: Label | None = None

    def with_content(self, content: str | bytes) -> Record:
        """The same record with other content."""
        return replace(self, content=content)


@dataclass(frozen=True, slots=True)
class BrokenRecord:
    """A record that cannot be used, and why.

    Attributes:
        key: As of a `Record`.
        where: As of a `Record`.
        reason: Why, to follow a colon.
        content: What there is of it; empty where nothing can be kept.
    """

    key: str
    where: str
    reason: str
    content: bytes = b""
