"""Where data is, and in which format."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from raygen.spec.schema.base import Tagged, Uri, plain_uri

TEXT_FORMATS = ("Text", "JsonLines")
_FieldName = Annotated[str, Field(min_length=1, max_length=200)]


class Source(Tagged):
    """A place that holds documents or images; all sources of a job hold the same kind."""

    uri: Uri
    """File, folder or glob (`*`, `**`), as a path, file:// URI or s3://bucket/key; a path is relative to the
    job file. Symbolic links are followed, also out of the folder. Of a folder, names that begin with a dot and what
    systems leave there (Thumbs.db, _SUCCESS) are left out; train and plan print what was skipped, and why. S3 needs
    the extra `s3`; endpoint, region and credentials come from AWS's own variables and files."""
    format: Literal["Text", "JsonLines", "ImageFolder", "Idx", "Parquet"] = "Text"
    """Text: every file is one document, UTF-8, or UTF-16 or UTF-32 with a byte-order mark. JsonLines: every line is
    an object that holds one; null, missing and empty texts are skipped. Both may be compressed by gzip, bzip2, xz, lzma,
    zstd or lz4. ImageFolder: PNG, JPEG, WebP, BMP, GIF or TIFF files, known by their names or, on this machine, by their
    content; other files are skipped. Where all are in subfolders, these are the classes. Idx: the format of MNIST,
    plain or compressed, with the labels in `labels`. Parquet: rows with an encoded image (or a struct with its
    bytes), and with a label where there are classes; rows without an image are skipped."""
    field: _FieldName | None = None
    """Key of the text in a line of JsonLines, or column of the image in Parquet. Default: text, image."""
    label_field: _FieldName | None = None
    """Column of the label in Parquet, a whole number from 0 or a text. Where a model needs no classes, labels that
    cannot be used are left out. Default: label, where there is one."""
    labels: Uri | None = None
    """File with the labels of an Idx file, as in `uri`. Default: no labels."""

    tag: ClassVar[str] = "format"
    belongs: ClassVar[dict[str, tuple[str, ...]]] = {
        "field": ("JsonLines", "Parquet"),
        "label_field": ("Parquet",),
        "labels": ("Idx",),
    }


Source.rules = (*Source.foreign_rules(), plain_uri("uri"), plain_uri("labels"))


class PlainSource(Source):
    """Resolved: files that have no fields."""

    format: Literal["Text", "ImageFolder", "Idx"] = "Text"


class JsonLinesSource(Source):
    """Resolved: lines with a text each."""

    format: Literal["JsonLines"] = "JsonLines"
    field: _FieldName = "text"


class ParquetSource(Source):
    """Resolved: rows with an image each. Whether there is a column of labels is found in the file."""

    format: Literal["Parquet"] = "Parquet"
    field: _FieldName = "image"


ResolvedSource = PlainSource | JsonLinesSource | ParquetSource
ResolvedSources = tuple[Annotated[ResolvedSource, Field(discriminator="format")], ...]
Sources = Annotated[tuple[Source, ...], Field(min_length=1, max_length=500)]
