"""The page of a data card: one HTML file that needs nothing else and can do nothing, as the report of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raygen.report.bars import Histogram
from raygen.report.chart import HEIGHT
from raygen.report.page import (
    MAX_PICTURES_BYTES,
    MAX_ROWS,
    Figure,
    Picture,
    Row,
    groups,
    page_template,
    picture,
)

MAX_CLASSES = 40


@dataclass(frozen=True)
class Verdict:
    """Whether what training learns from was kept apart from what it is measured with.

    Attributes:
        holds: Whether it was.
        text: What was found.
    """

    holds: bool
    text: str


@dataclass(frozen=True)
class Identity:
    """What the data set can be known by.

    Attributes:
        name: Of the value.
        value: In hexadecimal.
        meaning: What it is, and how to check it.
    """

    name: str
    value: str
    meaning: str


@dataclass(frozen=True)
class ClassCount:
    """Images of one class.

    Attributes:
        name: Of the class.
        train: Of the training split.
        validation: Of the validation split.
    """

    name: str
    train: int
    validation: int


@dataclass(frozen=True)
class SplitSamples:
    """Samples of one split.

    Attributes:
        split: Its name.
        texts: Beginnings of documents.
        pictures: Name of the class, and a PNG file.
    """

    split: str
    texts: Sequence[str] = ()
    pictures: Sequence[tuple[str, bytes]] = ()


@dataclass(frozen=True)
class CardPage:
    """Everything that the page shows.

    Attributes:
        title: The data set's name.
        subtitle: What it is, in a few words.
        figures: Headline numbers.
        verdict: Whether the splits are apart; None where nobody looked.
        observations: What else is to be known, in sentences.
        samples: By split.
        histograms: In this order.
        classes: In the order of their labels; empty without classes.
        splits: Rows of a table, by column.
        sources: The same.
        cleaning: The same; what filters did, and what was skipped or changed.
        idle: Filters that touched nothing.
        identity: What the data set can be known by.
        recipe: What the job says that decides what was prepared.
        versions: Of the software.
    """

    title: str
    subtitle: str
    figures: Sequence[Figure] = ()
    verdict: Verdict | None = None
    observations: Sequence[str] = ()
    samples: Sequence[SplitSamples] = ()
    histograms: Sequence[Histogram] = ()
    classes: Sequence[ClassCount] = ()
    splits: Sequence[Row] = ()
    sources: Sequence[Row] = ()
    cleaning: Sequence[Row] = ()
    idle: Sequence[str] = ()
    identity: Sequence[Identity] = ()
    recipe: Mapping[str, Any] | None = None
    versions: Mapping[str, Any] | None = None


def render_card(page: CardPage) -> str:
    """The data card as HTML; its characters can all be written as UTF-8."""
    style, style_hash, template = page_template("card.html.jinja")
    return template.render(
        page=page,
        style=style,
        style_hash=style_hash,
        height=HEIGHT,
        pictures=_pictures(page.samples),
        classes=page.classes[:MAX_CLASSES],
        largest=max((each.train + each.validation for each in page.classes), default=0),
        max_rows=MAX_ROWS,
        recipe=groups(page.recipe or {}),
        versions=groups(page.versions or {}),
    )


def _pictures(samples: Sequence[SplitSamples]) -> list[list[tuple[str, Picture]]]:
    """The pictures of every split, as far as the page does not become too large."""
    left = MAX_PICTURES_BYTES
    result = []
    for split in samples:
        shown = []
        for name, png in split.pictures:
            left -= len(png)
            if left >= 0:
                shown.append((name, picture(png)))
        result.append(shown)
    return result
