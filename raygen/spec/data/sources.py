"""Where data is, and in which format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, TypeAdapter, ValidationError

from raygen.errors import InputError, without_secrets
from raygen.spec.schema.base import Rule, Tagged, Uri, given, plain_uri

MUSIC_FORMAT = "Midi"
"""The format that holds music, which is read as a text of the names of its tokens."""
TEXT_FORMATS = ("Text", "JsonLines", "Csv", MUSIC_FORMAT)
"""Formats that hold text and nothing else."""
EITHER_FORMATS = ("Parquet", "Arrow", "Tar", "Mds", "HuggingFace")
"""Formats that hold text or images, as `contents` says."""
_FieldName = Annotated[str, Field(min_length=1, max_length=200)]


class Source(Tagged):
    """A place that holds documents or images; all sources of a job hold the same kind."""

    uri: Uri
    """File, folder or glob (`*`, `**`), as a path, file:// URI or s3://bucket/key; a path is relative to the
    job file. Symbolic links are followed, also out of the folder. Of a folder, names that begin with a dot and what
    systems leave there (Thumbs.db, _SUCCESS) are left out; train and plan print what was skipped, and why. S3 needs
    the extra `s3`; endpoint, region and credentials come from AWS's own variables and files. HuggingFace: a folder that
    `save_to_disk` wrote; or hf://owner/name on the hub, or a copy of it, for which the extra `huggingface` is needed."""
    format: Literal[
        "Text",
        "JsonLines",
        "Csv",
        "ImageFolder",
        "Idx",
        "Parquet",
        "Arrow",
        "Tar",
        "Mds",
        "HuggingFace",
        "Midi",
    ] = "Text"
    """Text: every file is one document, UTF-8, or UTF-16 or UTF-32 with a byte-order mark. JsonLines: every line is
    an object that holds one; null, missing and empty texts are skipped. Csv: comma-separated values, or separated by tab,
    semicolon or vertical bar; the first line names the columns. All three may be compressed by gzip, bzip2, xz, lzma,
    zstd or lz4. ImageFolder: PNG, JPEG, WebP, BMP, GIF or TIFF files, known by their names or by their
    content; other files are skipped. Where all are in subfolders, these are the classes. Idx: the format of MNIST,
    plain or compressed, with the labels in `labels`. Parquet: rows with an encoded image (or a struct with its
    bytes) or a text, and with a label where there are classes; rows without an image are skipped. Arrow: the same in Arrow's
    own files (Feather) and streams. Tar: the layout of WebDataset, where files of one name up to the first dot are a
    sample (0001.jpg, 0001.cls, 0001.json), plain or compressed; nothing is unpacked to disk. Mds: shards of MosaicML
    Streaming. HuggingFace: a data set of the library `datasets`, without code of its own. Midi: every .mid or .midi
    file is a piece of music, for which the extra `music` is needed."""
    contents: Literal["Text", "Images"] | None = None
    """What the rows or samples hold, in formats that may hold either. Default: Images."""
    field: _FieldName | None = None
    """Key of the text in a line of JsonLines, or column of the text or image. Of Tar, the key of the text in .json, or the
    end of a member's name from its first dot on; by default the image or .txt file, whatever its end. Default: text,
    image."""
    label_field: _FieldName | None = None
    """Column of the label of an image, a whole number from 0 or a text; of Tar, a key in .json or the end of a member's name.
    Where a model needs no classes, labels that cannot be used are left out. Default: label, where there is one; of Tar also
    .cls."""
    labels: Uri | None = None
    """File with the labels of an Idx file, as in `uri`. Default: no labels."""
    split: _FieldName | None = None
    """Split of a data set in the format HuggingFace. Default: train."""
    subset: _FieldName | None = None
    """Configuration of a data set on the hub that has several, such as wikitext-2-v1. Default: its own default."""

    tag: ClassVar[str] = "format"
    belongs: ClassVar[dict[str, tuple[str, ...]]] = {
        "contents": EITHER_FORMATS,
        "field": ("JsonLines", "Csv", *EITHER_FORMATS),
        "label_field": EITHER_FORMATS,
        "labels": ("Idx",),
        "split": ("HuggingFace",),
        "subset": ("HuggingFace",),
    }

    @property
    def holds_text(self) -> bool:
        """Whether what it holds is text."""
        return self.format in TEXT_FORMATS or self.contents == "Text"

    @property
    def is_on_hub(self) -> bool:
        """Whether it is a name on the hub of Hugging Face."""
        return self.format == "HuggingFace" and self.uri.lower().startswith("hf://")


Source.rules = (
    *Source.foreign_rules(),
    Rule(
        fields=("contents", "label_field"),
        at="labelField",
        holds=lambda self: self.label_field is None or self.contents != "Text",
        rule="belongs to sources that hold images, and this one holds text, which has no labels",
        remedy="Remove labelField, or set contents: Images.",
        cel="!has(self.labelField) || !has(self.contents) || self.contents != 'Text'",
    ),
    plain_uri("uri"),
    plain_uri("labels"),
)


def holds_text(source: str) -> str:
    """CEL: the source of this name holds text."""
    formats = ", ".join(f"'{name}'" for name in TEXT_FORMATS)
    return (
        f"(!has({source}.format) || {source}.format in [{formats}]"
        f" || (has({source}.contents) && {source}.contents == 'Text'))"
    )


def holds_music(source: str) -> str:
    """CEL: the source of this name holds music."""
    return f"(has({source}.format) && {source}.format == '{MUSIC_FORMAT}')"


class PlainSource(Source):
    """Resolved: files that have no fields."""

    format: Literal["Text", "ImageFolder", "Idx", "Midi"] = "Text"


class LineSource(Source):
    """Resolved: lines with a text each."""

    field: _FieldName = "text"


class JsonLinesSource(LineSource):
    """Resolved: lines of JSON."""

    format: Literal["JsonLines"] = "JsonLines"


class CsvSource(LineSource):
    """Resolved: separated values."""

    format: Literal["Csv"] = "Csv"


def _usual_field(fields: dict[str, Any]) -> str:
    return "text" if fields.get("contents") == "Text" else "image"


class RowSource(Source):
    """Resolved: rows or samples of either contents. Whether there is a column of labels is found in the files."""

    contents: Literal["Text", "Images"] = "Images"
    field: _FieldName = Field(default_factory=_usual_field)


class ParquetSource(RowSource):
    """Resolved: Parquet files."""

    format: Literal["Parquet"] = "Parquet"


class ArrowSource(RowSource):
    """Resolved: Arrow files."""

    format: Literal["Arrow"] = "Arrow"


class TarSource(RowSource):
    """Resolved: tar shards."""

    format: Literal["Tar"] = "Tar"


class MdsSource(RowSource):
    """Resolved: shards of MosaicML Streaming."""

    format: Literal["Mds"] = "Mds"


class HuggingFaceSource(RowSource):
    """Resolved: a data set of the library `datasets`."""

    format: Literal["HuggingFace"] = "HuggingFace"
    split: _FieldName = "train"


ResolvedSource = (
    PlainSource
    | JsonLinesSource
    | CsvSource
    | ParquetSource
    | ArrowSource
    | TarSource
    | MdsSource
    | HuggingFaceSource
)
ResolvedSources = tuple[Annotated[ResolvedSource, Field(discriminator="format")], ...]
_RESOLVED: TypeAdapter[ResolvedSource] = TypeAdapter(Annotated[ResolvedSource, Field(discriminator="format")])


def parse_source(fields: Mapping[str, str]) -> Source:
    """A source by the Python names of its fields.

    Raises:
        InputError: It has faults; says the first.
    """
    try:
        return Source.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InputError(
            first["msg"],
            where=without_secrets(fields.get("uri", "")),
            remedy="Correct it, or leave it out.",
        ) from error


def resolved_source(source: Source) -> ResolvedSource:
    """The source with every default written out, as in a resolved job."""
    return _RESOLVED.validate_python(given(source))


Sources = Annotated[tuple[Source, ...], Field(min_length=1, max_length=500)]
