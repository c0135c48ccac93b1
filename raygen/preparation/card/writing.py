"""Writes the data card, as card.json and as a page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from raygen.data.cleaning.duplicates import Certificate
from raygen.data.cleaning.report import CleaningReport
from raygen.data.images.pixels import ImageShape
from raygen.data.order_hash import record_order
from raygen.data.remarks import Remark
from raygen.data.shards.dataset import PreparedData
from raygen.data.shards.index import Index, Shard
from raygen.data.shards.recipe import words_on_data
from raygen.data.shards.store import ShardStore
from raygen.preparation.card.contents import CARD_HTML, CARD_JSON, Card, Source, Split
from raygen.preparation.card.observations import observations
from raygen.preparation.card.page import card_page
from raygen.preparation.card.samples import samples_of
from raygen.preparation.card.statistics import Statistics, summed
from raygen.preparation.context import Context
from raygen.preparation.encoding import VALIDATION
from raygen.preparation.sources import sources_of
from raygen.report.card import render_card
from raygen.spec.contents import Domain


@dataclass(frozen=True)
class Found:
    """What the stages of a preparation have said.

    Attributes:
        cleaned: Reports of the first stage.
        encoded: Reports of the second stage.
        remarks: What was skipped or changed, when the sources were listed and when they were read.
        cleaning: What cleaning did.
        certificate: What the search for duplicates says of the splits; None where nobody looked.
    """

    cleaned: Sequence[Mapping[str, Any]]
    encoded: Sequence[Mapping[str, Any]]
    remarks: Sequence[Remark]
    cleaning: CleaningReport
    certificate: Mapping[str, Any] | None


def write_card(context: Context, index: Index, found: Found) -> Card:
    """Writes the card of a data set whose shards and files are there, and whose index is not: the index says that all is.

    Args:
        context: The preparation.
        index: That will be written.
        found: What the stages have said.
    """
    card = make_card(context, index, found)
    context.place.write(CARD_JSON, card.to_json())
    context.place.write(CARD_HTML, render_card(card_page(card)).encode("utf-8", "replace"))
    return card


def make_card(context: Context, index: Index, found: Found) -> Card:
    """The card of a data set, as `write_card` writes it."""
    job = context.job
    data = PreparedData(job, Path(context.base), index)
    try:
        order, domain = record_order(job, data), data.domain
    finally:
        data.close()
    statistics = summed(report["statistics"] for report in found.encoded)
    train = [each for component, each in statistics.items() if component != VALIDATION]
    tokens = sum(each.units for each in train)
    images = isinstance(domain, ImageShape)
    return Card(
        name=job.metadata.name,
        kind=index.kind,
        fingerprint=index.fingerprint,
        order=order,
        sources=tuple(_sources(context, found.cleaned)),
        splits=tuple(_splits(index, statistics, domain)),
        records=found.cleaning.kept,
        remarks=tuple(found.remarks),
        observations=observations(index, job),
        cleaning=found.cleaning,
        certificate=_certificate(found.certificate),
        vocabulary=0 if images else int(index.schema["vocabulary"]),
        bytes_per_token=0.0 if images or not tokens else sum(each.size for each in train) / tokens,
        shape=(domain.channels, domain.height, domain.width) if isinstance(domain, ImageShape) else (),
        samples=tuple(samples_of(ShardStore(context.place), index, domain)),
        recipe=words_on_data(job),
        made_with=index.made_with,
    )


def _sources(context: Context, cleaned: Sequence[Mapping[str, Any]]) -> list[Source]:
    def total(split: str, number: int, name: str) -> int:
        return sum(
            report[name] for report in cleaned if (report["split"], report["source"]) == (split, number)
        )

    return [
        Source(split, source.uri, total(split, number, "records"), total(split, number, "size"))
        for split, number, source in sources_of(context.job)
    ]


def _certificate(document: Mapping[str, Any] | None) -> Certificate | None:
    if document is None:
        return None
    known = {each.name: document[each.name] for each in fields(Certificate)}
    return Certificate(**known | {"pair": tuple(known["pair"]) if known["pair"] is not None else None})


def remarks_of(cleaned: Sequence[Mapping[str, Any]]) -> list[Remark]:
    """The remarks in reports of the first stage."""
    return [
        Remark(**remark | {"examples": tuple(remark["examples"])})
        for report in cleaned
        for remark in report["remarks"]
    ]


def _splits(index: Index, statistics: Mapping[int, Statistics], domain: Domain) -> list[Split]:
    splits = [
        _split("train", number, component.shards, statistics.get(number, Statistics()), domain)
        for number, component in enumerate(index.train)
    ]
    if index.validation:
        splits.append(
            _split("validation", 0, index.validation, statistics.get(VALIDATION, Statistics()), domain)
        )
    return splits


def _split(name: str, component: int, shards: Sequence[Shard], found: Statistics, domain: Domain) -> Split:
    names = domain.classes if isinstance(domain, ImageShape) else ()
    moments = [_moments(levels) for levels in found.levels]
    return Split(
        split=name,
        component=component,
        shards=len(shards),
        rows=sum(shard.rows for shard in shards),
        units=sum(shard.units for shard in shards),
        bytes=sum(shard.bytes for shard in shards),
        size=found.size,
        shortest=found.shortest,
        longest=found.longest,
        lengths=tuple(sorted(found.lengths.items())),
        classes={each: found.classes[number] for number, each in enumerate(names)},
        levels=tuple(map(tuple, found.levels)),
        mean=tuple(mean for mean, _ in moments),
        deviation=tuple(deviation for _, deviation in moments),
    )


def _moments(levels: Sequence[int]) -> tuple[float, float]:
    """Mean and standard deviation of values by how often each occurs, from whole numbers, so that they are the same anywhere."""
    count = sum(levels)
    first = sum(value * times for value, times in enumerate(levels))
    second = sum(value * value * times for value, times in enumerate(levels))
    if not count:
        return 0.0, 0.0
    return first / count, math.sqrt(count * second - first * first) / count
