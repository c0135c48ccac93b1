"""Cleans records one by one: each is kept, changed, or left out with the reason."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from raygen.data.cleaning import images, rules
from raygen.data.cleaning.entities import entities
from raygen.data.cleaning.languages import detector, share_of
from raygen.data.cleaning.masking import excerpt, excerpt_around, mask
from raygen.data.cleaning.normalisation import changes
from raygen.data.cleaning.report import BROKEN, CleaningReport, Example, FilterReport
from raygen.data.cleaning.words import words_of
from raygen.data.records.record import BrokenRecord, Record
from raygen.data.sensitive.block_list import listed
from raygen.data.sensitive.kinds import PLACEHOLDERS
from raygen.errors import DataError
from raygen.spec.data.cleaning import BlockList, ImageCleaning, Masking, ResolvedCleaning, TextCleaning


@dataclass(frozen=True)
class Rejected:
    """A record that is left out.

    Attributes:
        key: As of the record.
        where: As of the record.
        filter: The field that asks for it; `readable` for a broken record.
        reason: Why, to follow a colon.
        broken: Whether the record cannot be used at all, and so is to be kept aside.
    """

    key: str
    where: str
    filter: str
    reason: str
    broken: bool = False


Shown = Callable[[Record | BrokenRecord], str]
"""What of a broken record people may see."""
Change = Callable[[str], tuple[str, Sequence[str]]]
"""A changed text, and the names under which that is counted; none if it is the same."""
Check = Callable[[str], str | None]
"""Why a text is left out; None if it is kept."""


class Cleaner:
    """Cleans records; what it does with one depends on nothing else, so that neither order nor workers change anything.

    Args:
        spec: What to do.
        kind: What records hold.
        base: Folder that relative paths start from.
        shown: The excerpt of a broken record. Default: none has one.

    Raises:
        MissingExtraError: Something is asked for that an extra brings.
        DataError: A block list cannot be read.
    """

    def __init__(
        self,
        spec: ResolvedCleaning,
        kind: Literal["text", "images"],
        base: Path | None = None,
        shown: Shown = lambda _: "",
    ) -> None:
        self._shown = shown
        self._report = CleaningReport(filters={BROKEN: FilterReport()})
        self._kind = kind
        self._changes: list[Change] = []
        self._sentences: Change = lambda text: (text, ())
        self._changing_names: list[str] = []
        self._checks: list[tuple[str, Check]] = []
        self._images = spec.images or ImageCleaning()
        if kind == "text":
            text = spec.text or TextCleaning()
            self._changes = list(self._changing(text))
            if "C4" in text.rule_sets:
                self._sentences = _named("ruleSets.C4", rules.sentences_alone)
                self._report.of("ruleSets.C4")
            self._changing_names = [name for name in self._report.filters if name != BROKEN]
            self._checks = list(_checks(text, base or Path()))
        names = [name for name, _ in self._checks] if kind == "text" else _IMAGE_FILTERS
        # The report has a filter that touched nothing, too.
        for name in names:
            self._report.of(name)

    @property
    def report(self) -> CleaningReport:
        """What was done so far."""
        return self._report

    def clean(self, record: Record | BrokenRecord) -> Record | Rejected:
        """The record, perhaps with other content; or why it is left out."""
        self._report.records += 1
        self._report.of(BROKEN).seen += 1
        if isinstance(record, BrokenRecord):
            return self._broken(record, record.reason)
        if self._kind == "images":
            return self._image(record)
        if not isinstance(record.content, str):
            return self._broken(record, "it is not text")
        return self._text(record, record.content)

    def _changing(self, spec: TextCleaning) -> Iterator[Change]:
        for name, change in changes(spec).items():
            self._report.of(name)
            yield _named(name, change)
        if spec.masking is not None:
            for kind in (*spec.masking.patterns, *spec.masking.entities):
                self._report.of(f"masking.{kind}")
            yield _masking(spec.masking)
            if spec.masking.entities:
                yield _entities(spec.masking)

    def _text(self, record: Record, text: str) -> Record | Rejected:
        before = text
        touched: list[str] = []
        # One change may give another one something to do, such as a repair when control characters have gone.
        for _ in range(_ROUNDS):
            round_before = text
            for change in self._changes:
                text, names = change(text)
                touched += names
            if text == round_before:
                break
        text, names = self._sentences(text)
        for name in self._changing_names:
            self._report.of(name).seen += 1
        for name in dict.fromkeys([*touched, *names]):
            of_filter = self._report.of(name)
            of_filter.changed += 1
            if of_filter.wants(record.key):
                of_filter.show([Example(record.key, record.where, excerpt=_changed(name, text))])
        for name, check in self._checks:
            # A rule set that also changes has seen the record already.
            self._report.of(name).seen += name not in self._changing_names
            reason = check(text)
            if reason is not None:
                return self._rejected(record, name, reason, lambda: excerpt(text))
        if text == before:
            return record
        self._report.changed += 1
        return record.with_content(text)

    def _image(self, record: Record) -> Record | Rejected:
        if isinstance(record.content, str):
            return self._broken(record, "it is not an image")
        encoded = record.content
        try:
            image = images.opened(encoded, record.where, self._images)
        except DataError as error:
            return self._broken(record, error.what)
        found = images.fault(image, self._images)
        for name in _IMAGE_FILTERS:
            self._report.of(name).seen += 1
            if found is not None and found[0] == name:
                return self._rejected(record, name, found[1], lambda: images.described(image, encoded))
        return record

    def _rejected(self, record: Record, name: str, reason: str, shown: Callable[[], str]) -> Rejected:
        self._report.dropped += 1
        of_filter = self._report.of(name)
        of_filter.dropped += 1
        if of_filter.wants(record.key):
            of_filter.show([Example(record.key, record.where, reason, shown())])
        return Rejected(record.key, record.where, name, reason)

    def _broken(self, record: Record | BrokenRecord, reason: str) -> Rejected:
        shown = self._shown(record) if self._report.of(BROKEN).wants(record.key) else ""
        example = Example(record.key, record.where, reason, shown)
        self._report.lose(example, record.records, is_estimate=record.is_estimate)
        return Rejected(record.key, record.where, BROKEN, reason, broken=True)


_IMAGE_FILTERS = ("minSide", "maxAspectRatio", "colours", "uniform")
_ROUNDS = 8
"""After so many rounds of changes a text is taken as it is."""


def _changed(name: str, text: str) -> str:
    """What is shown of a text that a filter of this name has changed: the place that it masked, or else the beginning."""
    _, masks, kind = name.partition("masking.")
    if not masks:
        return excerpt(text)
    return excerpt_around(text, _PLACEHOLDERS.get(kind, f"[{kind}]"))


_PLACEHOLDERS = {str(kind): placeholder for kind, placeholder in PLACEHOLDERS.items()}


def _named(name: str, change: Callable[[str], str]) -> Change:
    def changed(text: str) -> tuple[str, Sequence[str]]:
        after = change(text)
        return after, () if after == text else (name,)

    return changed


def _masking(spec: Masking) -> Change:
    def masked(text: str) -> tuple[str, Sequence[str]]:
        after, counts = mask(text, spec.patterns)
        return after, [f"masking.{kind}" for kind in counts]

    return masked


def _entities(spec: Masking) -> Change:
    replace = entities(spec)

    def masked(text: str) -> tuple[str, Sequence[str]]:
        after, counts = replace(text)
        return after, [f"masking.{kind}" for kind in counts]

    return masked


def _checks(spec: TextCleaning, base: Path) -> Iterator[tuple[str, Check]]:
    """The checks of a text in the order of the fields."""
    tables: dict[str, tuple[tuple[str, Check], ...]] = {
        "GopherRepetition": (("ruleSets.GopherRepetition", rules.repetition),),
        "GopherQuality": (("ruleSets.GopherQuality", rules.quality),),
        "C4": (("ruleSets.C4", rules.page),),
    }
    for name in spec.rule_sets:
        yield from tables[name]
    yield "minCharacters", lambda text: _too_few(len(text.strip()), spec.min_characters, "characters")
    if spec.max_characters is not None:
        most = spec.max_characters
        yield "maxCharacters", lambda text: _too_many(len(text), most, "characters")
    yield "minWords", _least_words(spec.min_words)
    if spec.max_words is not None:
        most_words = spec.max_words
        yield "maxWords", lambda text: _too_many(_words(text), most_words, "words")
    if spec.scripts:
        yield "scripts", lambda text: _foreign(text, spec)
    if spec.languages:
        yield "languages", _language(spec)
    if spec.block_list is not None:
        yield "blockList", _blocked(spec.block_list, base)


def _too_few(count: int, least: int, unit: str) -> str | None:
    return f"it has {count:,} {unit}, and at least {least:,} are asked for" if count < least else None


def _too_many(count: int, most: int, unit: str) -> str | None:
    return f"it has {count:,} {unit}, and at most {most:,} are allowed" if count > most else None


def _least_words(least: int) -> Check:
    def check(text: str) -> str | None:
        # Long texts need not be counted to their end; most of those that need a single word begin with it.
        if least == 1 and text[:1].isalpha():
            return None
        head = 20 * least + 100
        if len(text) > head and _words(text[:head]) > least:
            return None
        return _too_few(_words(text), least, "words")

    return check


def _words(text: str) -> int:
    return len(words_of([text]).hashes)


def _foreign(text: str, spec: TextCleaning) -> str | None:
    share = share_of(text, spec.scripts)
    if share >= spec.script_share:
        return None
    return f"{share:.0%} of its letters are {' or '.join(spec.scripts)}, and at least {spec.script_share:.0%} are asked for"


def _language(spec: TextCleaning) -> Check:
    detect, wanted = detector(spec.language_confidence), frozenset(spec.languages)

    def check(text: str) -> str | None:
        language = detect(text)
        return None if language in wanted else f"its language is {language}"

    return check


def _blocked(spec: BlockList, base: Path) -> Check:
    words = listed(spec, base)
    if not words:
        return lambda text: None  # noqa: ARG005
    # Any blanks may be between the words of a phrase.
    phrases = "|".join(r"\s+".join(map(re.escape, word.split())) for word in words)
    pattern = re.compile(rf"(?<!\w)(?:{phrases})(?!\w)", re.IGNORECASE)

    def check(text: str) -> str | None:
        return "it has a word of the block list" if pattern.search(text) else None

    return check
