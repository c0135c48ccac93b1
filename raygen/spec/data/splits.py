"""The data of a job as a whole: its splits, and what is done with them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from raygen.spec.data.augmentation import Augmentation, ResolvedAugmentation, augmentation_rules
from raygen.spec.data.cleaning import Cleaning, ResolvedCleaning
from raygen.spec.data.images import Images
from raygen.spec.data.reading import Reading, ResolvedReading
from raygen.spec.data.sources import MUSIC_FORMAT, ResolvedSources, Source, Sources, holds_music, holds_text
from raygen.spec.data.tokenizers import ResolvedTokenizer, Tokenizer
from raygen.spec.schema.base import MAX_INT, Fraction, Rule, Spec, exactly_one


def _some_weight() -> Rule:
    return Rule(
        fields=("weights",),
        at="weights",
        holds=lambda self: self.weights is None or any(weight > 0 for weight in self.weights),
        rule="must have one above 0",
        remedy="Give a weight above 0 to what is to be used.",
        cel="!has(self.weights) || self.weights.exists(w, w > 0.0)",
    )


Weights = Annotated[tuple[Annotated[float, Field(ge=0, le=1e9)], ...], Field(min_length=2, max_length=500)]


class WeightChange(Spec):
    """Weights that hold from a sample on."""

    from_sample: Annotated[int, Field(ge=1, le=MAX_INT)]
    """The first sample that they hold for, counted from the start of training. A run that goes on may add changes from
    where it is on, and alter none before."""
    weights: Weights
    """One for each source, in their order."""

    rules: ClassVar[tuple[Rule, ...]] = (_some_weight(),)


class Mixture(Spec):
    """How samples of several sources are mixed. Each comes as often as its weight says, again and again if it is small."""

    weights: Weights | None = None
    """One for each source, in their order; in any unit, and kept to one part in 16,384, exactly in each such block of samples. Default: the samples that each has."""
    temperature: Annotated[float, Field(gt=0, le=100)] = 1.0
    """Weights are taken to the power of 1/temperature: above 1, small ones come more often."""

    rules: ClassVar[tuple[Rule, ...]] = (_some_weight(),)


class TrainSplit(Spec):
    """Documents or images to train on."""

    sources: Sources
    """Places to read, in this order."""
    mixture: Mixture | None = None
    """Mix the sources by weight; needs spec.preparation. Default: they are one after the other, and shuffled as a whole."""
    weight_changes: Annotated[tuple[WeightChange, ...], Field(max_length=100)] = ()
    """Other weights of the mixture from a sample on, in any order."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            fields=("sources", "mixture"),
            at="mixture.weights",
            holds=lambda self: (
                self.mixture is None
                or (
                    len(self.sources) > 1
                    and (self.mixture.weights is None or len(self.mixture.weights) == len(self.sources))
                )
            ),
            rule="must be one for each source, of which there are two or more",
            remedy="Give as many weights as sources, in their order.",
            cel=(
                "!has(self.mixture) || (self.sources.size() > 1"
                " && (!has(self.mixture.weights) || self.mixture.weights.size() == self.sources.size()))"
            ),
        ),
        Rule(
            fields=("sources", "mixture", "weight_changes"),
            at="weightChanges",
            holds=lambda self: (
                all(len(change.weights) == len(self.sources) for change in self.weight_changes)
                and not (self.weight_changes and self.mixture is None)
                and len({change.from_sample for change in self.weight_changes}) == len(self.weight_changes)
            ),
            rule="needs mixture, one weight for each source, and each fromSample once",
            remedy="Add mixture: {}; give as many weights as sources, and every fromSample once.",
            cel=(
                "!has(self.weightChanges) || self.weightChanges.size() == 0 || (has(self.mixture)"
                " && self.weightChanges.all(c, c.weights.size() == self.sources.size()"
                " && self.weightChanges.filter(d, d.fromSample == c.fromSample).size() == 1))"
            ),
        ),
    )


class ValidationSplit(Spec):
    """Data that is never trained on: sources of its own, or a part of the training data."""

    sources: Sources | None = None
    """Places to read, in this order."""
    fraction: Fraction | None = None
    """Share of the training data that is kept for validation instead. Without `preparation`: of text the end, by characters; of
    images every n-th, so that all classes are in it. With it: those records that a digest of their names chooses, each by itself, so that the share
    is about this one: past a quarter more or less it is told; of duplicates the one that is kept decides; of fewer than 100 documents pieces of them."""

    rules: ClassVar[tuple[Rule, ...]] = (exactly_one(("sources", "fraction")),)


def _all(condition: str) -> str:
    return (
        f"(self.train.sources.all(s, {condition}) && (!has(self.validation)"
        f" || !has(self.validation.sources) || self.validation.sources.all(s, {condition})))"
    )


_ALL_TEXT = _all(holds_text("s"))
_ALL_IMAGES = _all("!" + holds_text("s"))
_ALL_MUSIC = _all(holds_music("s"))
_NO_MUSIC = _all("!" + holds_music("s"))
_FIRST_IS_TEXT = holds_text("self.train.sources[0]")


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
    packing: Literal["Stream", "Documents", "Single"] = "Stream"
    """How prepared documents become samples of one length. Stream: windows are cut from the documents one after the
    other. Documents: the same windows, and attention begins again with each document; a Custom model is given their numbers and
    has to heed them itself. Single: a sample is one document, cut off or filled up; each counts by its tokens. Documents of
    more than 24,000 characters may be taken for several."""
    images: Images | None = None
    """How files become images of one size; only for sources that hold images. Default: taken as they are."""
    augmentation: Augmentation | None = None
    """Random changes to the samples of the training split. Default: none."""

    cleaning: Cleaning | None = None
    """How records are cleaned before they become samples; needs spec.preparation. Default: they are taken as they are."""
    reading: Reading | None = None
    """How prepared data is read; needs spec.preparation. Default: in the processes that train."""

    @property
    def kind(self) -> Literal["images", "text"]:
        """What the sources hold."""
        return "text" if self.train.sources[0].holds_text else "images"

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            fields=("train.sources", "validation.sources"),
            at="train.sources",
            holds=lambda self: len({s.holds_text for s in _all_sources(self)}) == 1,
            rule="must all hold the same kind of data, as those of validation do",
            remedy="Give text or images, not both; of Parquet and other formats that hold either, contents says which.",
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
            fields=("train.sources", "validation.sources", "tokenizer.type"),
            at="tokenizer.type",
            holds=lambda self: (
                self.tokenizer is None
                or {s.format == MUSIC_FORMAT for s in _all_sources(self)} == {self.tokenizer.type == "REMI"}
            ),
            rule="must be REMI exactly when the sources are all of the format Midi",
            remedy="Give tokenizer {type: REMI} and sources of the format Midi, or neither.",
            cel=(
                f"!has(self.tokenizer) || (self.tokenizer.type == 'REMI' && {_ALL_MUSIC})"
                f" || (self.tokenizer.type != 'REMI' && {_NO_MUSIC})"
            ),
        ),
        Rule(
            fields=("train.sources", "packing"),
            at="packing",
            holds=lambda self: self.packing == "Stream" or self.kind == "text",
            rule="belongs to text, and these sources hold images",
            remedy="Remove packing.",
            cel=f"!has(self.packing) || self.packing == 'Stream' || {_FIRST_IS_TEXT}",
        ),
        Rule(
            fields=("train.sources", "images"),
            at="images",
            holds=lambda self: self.images is None or self.kind == "images",
            rule="belongs to sources that hold images, and these hold text",
            remedy="Remove images, or give the format of the sources, such as ImageFolder, Idx or Parquet.",
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
        *augmentation_rules(_FIRST_IS_TEXT),
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
    augmentation: ResolvedAugmentation | None = None
    reading: Annotated[ResolvedReading, Field(discriminator="type")] | None = None
