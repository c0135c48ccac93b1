"""How records are cleaned before they become samples: what is changed, what is left out, and how many may be broken."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field

from raygen.spec.schema.base import (
    Count,
    Fraction,
    Language,
    Rule,
    Share,
    Spec,
    Tagged,
    Uri,
    exactly_one,
    plain_uri,
)

Script = Literal[
    "Arabic",
    "Armenian",
    "Bengali",
    "Cyrillic",
    "Devanagari",
    "Ethiopic",
    "Georgian",
    "Greek",
    "Gujarati",
    "Gurmukhi",
    "Han",
    "Hangul",
    "Hebrew",
    "Hiragana",
    "Kannada",
    "Katakana",
    "Khmer",
    "Lao",
    "Latin",
    "Malayalam",
    "Mongolian",
    "Myanmar",
    "Sinhala",
    "Tamil",
    "Telugu",
    "Thai",
    "Tibetan",
]
"""Writing systems that letters are told apart by."""
RuleSet = Literal["GopherRepetition", "GopherQuality", "C4"]
PersonalData = Literal["Secret", "Email", "IBAN", "CreditCard", "IPAddress", "Phone"]
PERSONAL_DATA: tuple[PersonalData, ...] = get_args(PersonalData)
"""Every kind of personal data that is known by its form, in the order in which they are looked for."""
SCRIPTS: tuple[Script, ...] = get_args(Script)

_Word = Annotated[str, Field(min_length=1, max_length=100)]
_Entity = Annotated[str, Field(min_length=1, max_length=64)]


class BlockList(Spec):
    """Words or phrases; a text that has one of them is left out."""

    words: Annotated[tuple[_Word, ...], Field(min_length=1, max_length=1000)] | None = None
    """Words or phrases, found as whole words and in any case."""
    uri: Uri | None = None
    """A file with one of them a line, in UTF-8, as a source's `uri`."""

    rules: ClassVar[tuple[Rule, ...]] = (exactly_one(("words", "uri")), plain_uri("uri"))


class Masking(Spec):
    """Personal data and secrets that are replaced by the name of their kind, such as [EMAIL]."""

    patterns: Annotated[tuple[PersonalData, ...], Field(max_length=6)] = PERSONAL_DATA
    """Kinds that are known by their form. Secret: private keys, tokens of known services, passwords in URLs, what is assigned to
    a name such as api_key, and what follows the scheme (Bearer, Basic and others) in the headers Authorization and Proxy-Authorization of HTTP,
    as requests, JSON, code and curl write them. Email: addresses. IBAN and CreditCard: numbers whose check digits are right. IPAddress: addresses of
    the public Internet. Phone: numbers with a country code, or as North America writes them."""
    entities: Annotated[tuple[_Entity, ...], Field(max_length=32)] = ()
    """Kinds that Presidio finds in English text, by its names: US_SSN, UK_NHS and others by their form, PERSON and LOCATION with
    `entityModel`. Needs the extra `presidio`. Default: none."""
    entity_threshold: Share = 0.5
    """Least score of what Presidio finds, from 0 to 1. Below 0.4 it takes many harmless words for personal data."""
    entity_model: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    """Installed spaCy model, such as en_core_web_lg, for kinds that have no form of their own. Default: none."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            fields=("patterns",),
            at="patterns",
            holds=lambda self: len(set(self.patterns)) == len(self.patterns),
            rule="must have kinds that differ",
            remedy="Keep each kind once.",
            cel="!has(self.patterns) || self.patterns.all(a, self.patterns.exists_one(b, a == b))",
        ),
    )


class TextDuplicates(Tagged):
    """How texts are found that are there more than once, within and across the splits. Of those that are alike, one of
    `validation.sources` is kept rather than one of training, and then the first one in the order of the sources; by `validation.fraction`
    the draw of the one that is kept decides for all.
    """

    type: Literal["Exact", "MinHash"]
    """Exact: texts with the same letters and digits, whatever their case, signs and blanks. MinHash: also those with nearly the same words:
    the share of common shingles of all (Jaccard similarity), estimated by MinHash (Broder 1997) for candidates that are found
    by locality-sensitive hashing, is at least `threshold`. Needs the extra `cleaning`."""
    threshold: Annotated[float, Field(ge=0.5, le=0.95)] | None = None
    """Least similarity of near duplicates. Default: 0.8."""
    shingle_words: Annotated[int, Field(ge=1, le=20)] | None = None
    """Length of a shingle, in words; a shorter text is one shingle. Default: 5."""

    belongs: ClassVar[dict[str, tuple[str, ...]]] = {
        "threshold": ("MinHash",),
        "shingle_words": ("MinHash",),
    }


TextDuplicates.rules = TextDuplicates.foreign_rules()


class ExactTexts(TextDuplicates):
    """Resolved: equal texts alone."""

    type: Literal["Exact"]


class MinHash(TextDuplicates):
    """Resolved: near duplicates, too."""

    type: Literal["MinHash"]
    threshold: Annotated[float, Field(ge=0.5, le=0.95)] = 0.8
    shingle_words: Annotated[int, Field(ge=1, le=20)] = 5


class ImageDuplicates(Tagged):
    """How images are found that are there more than once, within and across the splits; which one is kept is as for texts."""

    type: Literal["Pixels", "Perceptual"]
    """Pixels: images whose decoded pixels are equal. Perceptual: also those whose perceptual hashes (64 signs of a discrete
    cosine transform) differ in at most `distance` bits, as copies in another size or quality do. Simple drawings that people tell
    apart, such as digits, may have equal hashes."""
    distance: Annotated[int, Field(ge=0, le=10)] | None = None
    """Largest Hamming distance of near duplicates, in bits. Default: 6."""

    belongs: ClassVar[dict[str, tuple[str, ...]]] = {"distance": ("Perceptual",)}


ImageDuplicates.rules = ImageDuplicates.foreign_rules()


class EqualPixels(ImageDuplicates):
    """Resolved: equal images alone."""

    type: Literal["Pixels"]


class Perceptual(ImageDuplicates):
    """Resolved: near duplicates, too."""

    type: Literal["Perceptual"]
    distance: Annotated[int, Field(ge=0, le=10)] = 6


def _at_most(low: str, high: str, default: int) -> Rule:
    """`low`, a default included, is at most `high`, where that is given."""
    name_low, name_high = (name.replace("_c", "C").replace("_w", "W") for name in (low, high))
    return Rule(
        fields=(low, high),
        at=name_high,
        holds=lambda self: getattr(self, high) is None or getattr(self, low) <= getattr(self, high),
        rule=f"must be at least {name_low} ({{self.{low}}})",
        remedy=f"Raise {name_high}, or lower {name_low}.",
        cel=f"!has(self.{name_high}) || (has(self.{name_low}) ? self.{name_low} : {default}) <= self.{name_high}",
    )


class TextCleaning(Spec):
    """How texts are cleaned. First they are changed, in the order of the fields; then they are left out by the first field that asks for it."""

    fix_encoding: bool = False
    """Repair text that was decoded by the wrong encoding, such as schÃ¶n for schön, by ftfy; needs the extra `cleaning`."""
    control_characters: Literal["Remove", "Keep"] = "Remove"
    """Remove: control characters but tab and line feed, byte-order marks and code points that are not characters go, and all ends of lines become
    line feeds."""
    unicode: Literal["NFC", "NFKC", "Keep"] = "NFC"
    """Normalisation form (Unicode Standard Annex 15). NFC: one code point for a letter with its accents. NFKC: also plain
    characters for wide ones, ligatures and superscripts, which loses what they mean."""
    masking: Masking | None = None
    """Personal data and secrets to mask. Default: none."""
    rule_sets: Annotated[tuple[RuleSet, ...], Field(max_length=3)] = ()
    """Rules of published corpora, for text of the web. GopherRepetition: leaves out text that repeats lines, paragraphs or n-grams of
    words (Rae et al. 2021, table A1); n-grams are only looked at from 25 words on. GopherQuality: leaves out what is not English prose by its
    words and signs (the same, section A.1.1). C4: removes lines that are not English sentences, and leaves out pages with
    code, placeholder text or fewer than three sentences (Raffel et al. 2020, section 2.2). Default: none."""
    min_characters: Count = 1
    """Least length, without blanks at both ends, in characters."""
    max_characters: Count | None = None
    """Greatest length, in characters. Default: no limit."""
    min_words: Count = 1
    """Least length, in words: runs of letters and digits; in scripts without blanks each character is one."""
    max_words: Count | None = None
    """Greatest length, in words. Default: no limit."""
    scripts: Annotated[tuple[Script, ...], Field(max_length=27)] = ()
    """Scripts that letters may be of. Default: any."""
    script_share: Share = 0.8
    """Least share of a text's letters that are of these scripts."""
    languages: Annotated[tuple[Language, ...], Field(max_length=64)] = ()
    """Languages to keep, by ISO 639 codes such as en; "unknown" stands for texts of fewer than 20 letters, and for those whose language cannot be told.
    Needs the extra `cleaning`. Default: any."""
    language_confidence: Fraction = 0.5
    """Least probability of a language; below it the language is unknown."""
    block_list: BlockList | None = None
    """Words that leave a text out. Default: none."""
    duplicates: TextDuplicates | None = None
    """Texts that are there more than once. Default: all are kept."""

    rules: ClassVar[tuple[Rule, ...]] = (
        _at_most("min_characters", "max_characters", 1),
        _at_most("min_words", "max_words", 1),
    )


class ImageCleaning(Spec):
    """Which images are left out, by the first field that asks for it. Those that cannot be decoded count as broken."""

    max_pixels: Annotated[int, Field(ge=1, le=1 << 26)] = 1 << 26
    """Largest image, as its header says before anything is decoded, in pixels. Larger ones count as broken."""
    min_side: Count = 1
    """Least width and height, in pixels."""
    max_aspect_ratio: Annotated[float, Field(ge=1, le=10_000)] | None = None
    """Greatest ratio of the longer side to the shorter one. Default: any."""
    colours: Literal["Any", "Grey", "RGB"] = "Any"
    """Grey: images with colours are left out. RGB: those without a channel for each colour are."""
    uniform: Literal["Drop", "Keep"] = "Drop"
    """Drop: images of one single colour are left out."""
    duplicates: ImageDuplicates | None = None
    """Images that are there more than once. Default: all are kept."""


class Cleaning(Spec):
    """How records are cleaned before they become samples. What is changed, left out or broken is counted, with examples."""

    text: TextCleaning | None = None
    """How texts are cleaned. Default: {}."""
    images: ImageCleaning | None = None
    """How images are cleaned. Default: {}."""
    max_broken_share: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Largest share of records that may be broken: cut off, damaged, not what their format says. They are kept aside with the reason. Beyond this
    share the work stops."""


class ResolvedTextCleaning(TextCleaning):
    """How texts are cleaned, with every default written out."""

    duplicates: Annotated[ExactTexts | MinHash, Field(discriminator="type")] | None = None


class ResolvedImageCleaning(ImageCleaning):
    """Which images are left out, with every default written out."""

    duplicates: Annotated[EqualPixels | Perceptual, Field(discriminator="type")] | None = None


class ResolvedCleaning(Cleaning):
    """Cleaning with every default written out: the block of what the data holds is there."""

    text: ResolvedTextCleaning | None = None
    images: ResolvedImageCleaning | None = None
