"""The data: where it is, how it is split, how text becomes tokens."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from raygen.spec.base import Fraction, Rule, Spec, Tagged, Uri, exactly_one, plain_uri


class Source(Tagged):
    """A place that holds documents."""

    uri: Uri
    """Local file, folder or glob (`*`, `**`), as a path or file:// URI; relative to the job file."""
    format: Literal["Text", "JsonLines"] = "Text"
    """Text: every file is one document, UTF-8. JsonLines: every line is an object that holds one."""
    field: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """Key of the text in a line of JsonLines. Default: text."""

    tag: ClassVar[str] = "format"
    belongs: ClassVar[dict[str, tuple[str, ...]]] = {"field": ("JsonLines",)}


Source.rules = (*Source.foreign_rules(), plain_uri("uri"))

Sources = Annotated[tuple[Source, ...], Field(min_length=1, max_length=1000)]


class TrainSplit(Spec):
    """Documents to train on."""

    sources: Sources
    """Places to read, in this order."""


class ValidationSplit(Spec):
    """Text that is never trained on: sources of its own, or the end of the training text."""

    sources: Sources | None = None
    """Places to read, in this order."""
    fraction: Fraction | None = None
    """Share of the training text, by characters from its end, that is kept for validation instead."""

    rules: ClassVar[tuple[Rule, ...]] = (exactly_one(("sources", "fraction")),)


class Tokenizer(Tagged):
    """How text becomes tokens. The tokenizer is made from the training split and saved with the run."""

    type: Literal["Character", "Byte", "BPE"]
    """Character: one token per distinct character. Byte: the 256 bytes of UTF-8. BPE: byte-level
    byte-pair encoding, learned from the training split."""
    vocabulary_size: Annotated[int, Field(ge=257, le=1_000_000)] | None = None
    """Size of the vocabulary that BPE learns, the 256 bytes and the end-of-text token included, in tokens.
    Default: 4096."""

    belongs: ClassVar[dict[str, tuple[str, ...]]] = {"vocabulary_size": ("BPE",)}


Tokenizer.rules = Tokenizer.foreign_rules()


class Data(Spec):
    """What is learned from."""

    train: TrainSplit
    """The training split."""
    validation: ValidationSplit | None = None
    """The validation split. Default: none, and then nothing can be evaluated."""
    tokenizer: Tokenizer
    """How text becomes tokens."""
