"""A data card as a page."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterable, Sequence

from raygen.data.cleaning.report import FilterReport
from raygen.preparation.card.contents import Card, Sample, Split
from raygen.preparation.card.statistics import LEVELS, length_class
from raygen.preparation.duplicates import FILTER as DUPLICATES
from raygen.report.bars import Counts, Histogram, draw_histogram
from raygen.report.card import CardPage, ClassCount, Identity, SplitSamples, Verdict
from raygen.report.page import Cell, Figure
from raygen.report.wording import size

BINS, FEWEST_BINS = 64, 10
"""Bins of a histogram at most, and at least."""
_COLOURS = {1: ("grey",), 3: ("red", "green", "blue")}


def card_page(card: Card) -> CardPage:
    """What the page of a card shows."""
    filters = card.cleaning.filters
    before = f"{_rows(card)}, with duplicates" if DUPLICATES in filters else _rows(card)
    mixed = sum(split.split == "train" for split in card.splits) > 1
    return CardPage(
        title=card.name,
        subtitle=_subtitle(card),
        figures=_figures(card),
        verdict=_verdict(card),
        observations=card.observations,
        samples=list(_samples(card.samples)),
        histograms=[drawn for drawn in _histograms(card) if drawn is not None],
        classes=_classes(card.splits),
        splits=[_split(card, split, mixed=mixed) for split in card.splits],
        sources=[
            {
                "source": source.uri,
                "split": source.split,
                before: source.records,
                "size": size(source.size),
            }
            for source in card.sources
        ],
        cleaning=[
            *(_filter(name, each) for name, each in filters.items() if _touched(each)),
            *_remarks(card),
        ],
        idle=[name for name, each in filters.items() if not _touched(each)],
        identity=_identities(card),
        recipe=card.recipe,
        versions=card.made_with,
    )


def _rows(card: Card) -> str:
    return "documents" if card.kind == "text" else "images"


def _subtitle(card: Card) -> str:
    sources = f"{len(card.sources):,} source{'s' * (len(card.sources) != 1)}"
    if card.kind == "text":
        few = "" if card.records != 1 else " (one long text, which is cut into pieces)"
        return f"{card.records:,} document{'s' * (card.records != 1)} from {sources}{few}"
    channels, height, width = card.shape
    colours = "grey" if channels == 1 else "colour" if channels == 3 else f"{channels} channels"
    return f"{card.records:,} images of {width:,} x {height:,} pixels, {colours}, from {sources}"


def _figures(card: Card) -> list[Figure]:
    train, validation = _of(card.splits, "train"), _of(card.splits, "validation")
    units = sum(split.units for split in train)
    held = sum(split.units for split in validation)
    unit = "tokens" if card.kind == "text" else "images"
    samples = ""
    if card.kind == "text":
        samples = f"{card.order.positions:,} samples of {card.order.of['contextLength']:,}"
    share = f"{held / (units + held):.1%} of all" if held else ""
    figures = [
        Figure(f"training {unit}", units, note=samples),
        Figure(f"validation {unit}", held, note=share),
    ]
    if card.kind == "text":
        figures += [
            Figure("vocabulary", card.vocabulary, "tokens"),
            Figure("bytes per token", card.bytes_per_token),
        ]
    else:
        classes = len(train[0].classes)
        figures += [Figure("classes", classes)] if classes else []
        mean = [
            sum(split.mean[channel] * split.rows for split in train) / max(units, 1)
            for channel in range(card.shape[0])
        ]
        figures.append(Figure("mean pixel", sum(mean) / len(mean), "of 255"))
    duplicates = card.cleaning.filters.get(DUPLICATES)
    if duplicates is not None:
        figures.append(Figure("duplicates left out", duplicates.dropped, note=f"of {duplicates.seen:,}"))
    return figures


def _of(splits: Iterable[Split], name: str) -> list[Split]:
    return [split for split in splits if split.split == name]


def _verdict(card: Card) -> Verdict | None:
    found = card.certificate
    if found is None:
        return None
    looked = (
        f"{found.candidates:,} pairs could be alike and were compared; one at the threshold of {found.threshold:g} is among them"
        f" with a probability of {found.recall:.2%}."
    )
    if found.candidates:
        looked += f" The highest similarity is {found.highest:.3f}."
    if found.holds:
        return Verdict(
            True,
            f"None of the {found.validation:,} validation records has a near duplicate in training. {looked}",
        )
    return Verdict(
        False,
        f"Validation records have near duplicates in training, {found.equal:,} of them equal ones. {looked}",
    )


def _samples(samples: Sequence[Sample]) -> Iterable[SplitSamples]:
    for split in dict.fromkeys(sample.split for sample in samples):
        own = [sample for sample in samples if sample.split == split]
        yield SplitSamples(
            split,
            [sample.text for sample in own if not sample.png],
            [(sample.label, base64.b64decode(sample.png)) for sample in own if sample.png],
        )


def _histograms(card: Card) -> Iterable[Histogram | None]:
    splits = {name: _of(card.splits, name) for name in ("train", "validation")}
    if card.kind == "text":
        lengths = {
            name: sum((Counter(dict(s.lengths)) for s in own), Counter[int]()) for name, own in splits.items()
        }
        starts = _bins_for(set().union(*lengths.values()))
        counts = [Counts(name, _binned(starts, own)) for name, own in lengths.items()]
        yield draw_histogram("Lengths of documents", "tokens", starts, _after(starts), counts)
        return
    lows = range(0, LEVELS, LEVELS // BINS)
    levels = {name: _levels(own, card.shape[0]) for name, own in splits.items()}
    if card.shape[0] == 1:
        counts = [Counts(name, own[0]) for name, own in levels.items()]
        yield draw_histogram("Values of pixels", "value", lows, LEVELS, counts)
        return
    names = _COLOURS.get(card.shape[0]) or tuple(f"channel {number}" for number in range(card.shape[0]))
    for split, own in levels.items():
        counts = [Counts(name, values) for name, values in zip(names, own, strict=True)]
        yield draw_histogram(f"Values of pixels, {split}", "value", lows, LEVELS, counts)


def _bins_for(occurring: set[int]) -> list[int]:
    """The least lengths of all classes from the shortest to the longest that occurs; of many, every second, fourth and so on.

    Of few, some longer ones follow, so that bars have the width of bars.
    """
    if not occurring:
        return []
    start, last = min(occurring), max(occurring)
    starts = [start]
    while start < last or len(starts) < FEWEST_BINS:
        start += max(1 << max(start.bit_length() - 3, 0), 1)
        starts.append(length_class(start))
    while len(starts) > BINS:
        starts = starts[::2]
    return starts


def _after(starts: Sequence[int]) -> int:
    """The length after those of the last bin."""
    width = starts[-1] - starts[-2] if len(starts) > 1 else 1
    return starts[-1] + max(width, 1 << max(starts[-1].bit_length() - 3, 0))


def _binned(starts: Sequence[int], counts: Counter[int]) -> list[int]:
    binned = [0] * len(starts)
    for length, count in counts.items():
        binned[max(n for n, start in enumerate(starts) if start <= length)] += count
    return binned


def _levels(splits: Sequence[Split], channels: int) -> list[list[int]]:
    """Of each channel the pixels of some splits, in bins of values."""
    width = LEVELS // BINS
    return [
        [
            sum(sum(split.levels[channel][low : low + width]) for split in splits if split.levels)
            for low in range(0, LEVELS, width)
        ]
        for channel in range(channels)
    ]


def _classes(splits: Sequence[Split]) -> list[ClassCount]:
    def count(split: str, name: str) -> int:
        return sum(each.classes.get(name, 0) for each in _of(splits, split))

    names = splits[0].classes if splits else {}
    return [ClassCount(name, count("train", name), count("validation", name)) for name in names]


def _split(card: Card, split: Split, *, mixed: bool) -> dict[str, Cell]:
    row: dict[str, Cell] = {"split": split.split}
    if mixed:
        row["component"] = split.component if split.split == "train" else None
    row[_rows(card)] = split.rows
    if card.kind == "text":
        row |= {
            "tokens": split.units,
            "shortest": split.shortest,
            "longest": split.longest,
            "text": size(split.size),
        }
    else:
        row |= {
            "mean": ", ".join(f"{value:.1f}" for value in split.mean),
            "deviation": ", ".join(f"{value:.1f}" for value in split.deviation),
        }
    return row | {"shards": split.shards, "size": size(split.bytes)}


def _touched(found: FilterReport) -> bool:
    return bool(found.changed or found.dropped)


def _filter(name: str, found: FilterReport) -> dict[str, Cell]:
    examples = "\n".join(
        ": ".join(filter(None, (each.where, each.reason, each.excerpt and f"“{each.excerpt}”")))
        for each in found.examples
    )
    return {
        "what": name,
        "seen": found.seen,
        "changed": found.changed,
        "left out": found.dropped,
        "examples": examples,
    }


def _remarks(card: Card) -> Iterable[dict[str, Cell]]:
    for remark in card.remarks:
        skipped = remark.action == "Skipped"
        yield {
            "what": f"{remark.unit}s",
            "seen": None,
            "changed": 0 if skipped else remark.count,
            "left out": remark.count if skipped else 0,
            "examples": f"{remark.reason}: {', '.join(remark.examples)}"
            if remark.examples
            else remark.reason,
        }


def _said(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _identities(card: Card) -> list[Identity]:
    depends = ", ".join(
        f"{name} {_said(value)}" for name, value in card.order.of.items() if name != "fingerprint"
    )
    return [
        Identity(
            "Fingerprint",
            card.fingerprint,
            "SHA-256 of what the samples are and how they are numbered; data sets with the same one train the same.",
        ),
        Identity(
            "Order",
            card.order.sha256,
            f"SHA-256 of the fingerprint and the numbers of the samples of the first epoch, in their order, for {depends}."
            " raygen data verify RUN computes it again.",
        ),
    ]
