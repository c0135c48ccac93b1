"""The data of a job as a whole: its splits, and what is done with them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from raygen.spec.data.cleaning import Cleaning, ResolvedCleaning
from raygen.spec.data.images import Images
from raygen.spec.data.sources import TEXT_FORMATS, ResolvedSources, Source, Sources
from raygen.spec.data.tokenizers import ResolvedTokenizer, Tokenizer
from raygen.spec.schema.base import Fraction, Rule, Spec, exactly_one


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

    cleaning: Cleaning | None = None
    """How records are cleaned before they become samples. Default: they are taken as they are."""

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
        Rule(
            fields=("train.sources", "cleaning.text"),
            at="cleaning.text",
            holds=lambda self: self.cleaning is None or self.cleaning.text is None or self.kind == "text",
            rule="belongs to sources that hold text, and these hold images",
            remedy="Give cleaning.images instead.",
            cel=f"!has(self.cleaning) || !has(self.cleaning.text) || {_FIRST_IS_TEXT}",
        ),
        Rule(
            fields=("train.sources", "cleaning.images"),
            at="cleaning.images",
            holds=lambda self: self.cleaning is None or self.cleaning.images is None or self.kind == "images",
            rule="belongs to sources that hold images, and these hold text",
            remedy="Give cleaning.text instead.",
            cel=f"!has(self.cleaning) || !has(self.cleaning.images) || !({_FIRST_IS_TEXT})",
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
    cleaning: ResolvedCleaning | None = None
