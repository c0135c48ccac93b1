"""The data: where it is, how it is split, how text becomes tokens and files become images."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from raygen.spec.schema.base import Fraction, Rule, Spec, Tagged, Uri, exactly_one, plain_uri

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


class TrainSplit(Spec):
    """Documents or images to train on."""

    sources: Sources
    """Places to read, in this order."""


class ValidationSplit(Spec):
    """Data that is never trained on: sources of its own, or a part of the training data."""

    sources: Sources | None = None
    """Places to read, in this order."""
    fraction: Fraction | None = None
    """Share of the training data that is kept for validation instead: of text the end, by characters; of
    images every n-th, so that all classes are in it."""

    rules: ClassVar[tuple[Rule, ...]] = (exactly_one(("sources", "fraction")),)


class Tokenizer(Tagged):
    """How text becomes tokens. The tokenizer is made from the training split and saved with the run."""

    type: Literal["Character", "Byte", "BPE"]
    """Character: one token per distinct character. Byte: the 256 bytes of UTF-8. BPE: byte-level
    byte-pair encoding, learned from the training split; runs of letters, digits, signs or blanks longer than 512 bytes
    are cut for learning."""
    vocabulary_size: Annotated[int, Field(ge=257, le=1_000_000)] | None = None
    """Size of the vocabulary that BPE learns, the 256 bytes and the end-of-text token included, in tokens.
    Default: 4096."""

    belongs: ClassVar[dict[str, tuple[str, ...]]] = {"vocabulary_size": ("BPE",)}


Tokenizer.rules = Tokenizer.foreign_rules()


class PlainTokenizer(Tokenizer):
    """Resolved: a tokenizer that nothing is learned for."""

    type: Literal["Character", "Byte"]


class BPETokenizer(Tokenizer):
    """Resolved: byte-pair encoding."""

    type: Literal["BPE"]
    vocabulary_size: Annotated[int, Field(ge=257, le=1_000_000)] = 4096


ResolvedTokenizer = PlainTokenizer | BPETokenizer


class Images(Spec):
    """How files become images of one size. Left out, all images must have the same size and mode.

    Photographs are turned upright as their EXIF says. Of animations and files of several pages the first picture is
    used, and of 16 bits a channel the upper 8. What is transparent is put on white.
    """

    size: Annotated[int, Field(ge=4, le=1024)] | None = None
    """Height and width that all images get, in pixels. Default: as they are."""
    fit: Literal["Crop", "Pad"] = "Crop"
    """Crop: scale the shorter side to `size`, and cut what is over equally on both ends. Pad: scale down only
    what is larger, and put black around it equally."""
    mode: Literal["Grey", "RGB"] | None = None
    """Colours that all images get. Default: as they are, grey or RGB; other colours, such as CMYK, become RGB."""
    horizontal_flip: bool = False
    """Mirror half of the training images, other ones each epoch."""


def _is_text(source: str) -> str:
    """CEL: a source holds text."""
    return f"(!has({source}.format) || {source}.format in ['Text', 'JsonLines'])"


def _all(condition: str) -> str:
    return (
        f"(self.train.sources.all(s, {condition}) && (!has(self.validation)"
        f" || !has(self.validation.sources) || self.validation.sources.all(s, {condition})))"
    )


_ALL_TEXT = _all(_is_text("s"))
_ALL_IMAGES = _all("!" + _is_text("s"))
_FIRST_IS_TEXT = _is_text("self.train.sources[0]")


def _all_sources(data: Data) -> tuple[Source, ...]:
    own = data.validation.sources if data.validation is not None else None
    return data.train.sources + (own or ())


class Data(Spec):
    """What is learned from."""

    train: TrainSplit
    """The training split."""
    validation: ValidationSplit | None = None
    """The validation split. Default: none, and then nothing can be evaluated."""
    tokenizer: Tokenizer | None = None
    """How text becomes tokens; given exactly when the sources hold text."""
    images: Images | None = None
    """How files become images of one size; only for sources that hold images. Default: taken as they are."""

    @property
    def kind(self) -> Literal["images", "text"]:
        """What the sources hold."""
        return "text" if self.train.sources[0].format in TEXT_FORMATS else "images"

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            fields=("train.sources", "validation.sources"),
            at="train.sources",
            holds=lambda self: len({s.format in TEXT_FORMATS for s in _all_sources(self)}) == 1,
            rule="must all hold the same kind of data, as those of validation do",
            remedy="Give text (Text, JsonLines) or images (ImageFolder, Idx, Parquet), not both.",
            cel=f"{_ALL_TEXT} || {_ALL_IMAGES}",
        ),
        Rule(
            fields=("train.sources", "tokenizer"),
            at="tokenizer",
            holds=lambda self: (self.kind == "text") == (self.tokenizer is not None),
            rule="must be given exactly when the sources hold text",
            remedy="Give data.tokenizer for text, for example {type: BPE}; remove it for images.",
            cel=f"{_FIRST_IS_TEXT} == has(self.tokenizer)",
        ),
        Rule(
            fields=("train.sources", "images"),
            at="images",
            holds=lambda self: self.images is None or self.kind == "images",
            rule="belongs to sources that hold images, and these hold text",
            remedy="Remove images, or give the format of the sources: ImageFolder, Idx or Parquet.",
            cel=f"!has(self.images) || !({_FIRST_IS_TEXT})",
        ),
    )


class ResolvedTrainSplit(TrainSplit):
    """The training split with every default written out."""

    sources: ResolvedSources


class ResolvedValidationSplit(ValidationSplit):
    """The validation split with every default written out."""

    sources: ResolvedSources | None = None


class ResolvedData(Data):
    """The data with every default written out."""

    train: ResolvedTrainSplit
    validation: ResolvedValidationSplit | None = None
    tokenizer: Annotated[ResolvedTokenizer, Field(discriminator="type")] | None = None
