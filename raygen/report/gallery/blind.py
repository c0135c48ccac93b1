"""A blind comparison: one HTML file that shows what two models made side by side, asks which is better, and does not hold their names.

Who made what is in the key alone. Sides and order are shuffled, and each model of a pair of models stands on the left as often as on the right, so that one who always chooses the same
side favours neither.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import random
from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

from markupsafe import Markup

from raygen.errors import DataError
from raygen.report.gallery.items import (
    MAX_CHARACTERS,
    MAX_PAGE_BYTES,
    Content,
    address,
    checked_text,
    gallery_template,
    plain_png,
    png_size,
    policy_hash,
    source,
)
from raygen.report.gallery.page import too_large
from raygen.report.wording import inert

KEY_FORMAT = "raygen blind key"
VERSION = 1


class PairKey(TypedDict):
    """Who made what of one pair.

    Attributes:
        pair: Its code in the page and in ratings.
        sample: Number of the sample in each set, from 0.
        left: The model whose sample stands on the left.
        right: That of the right.
    """

    pair: str
    sample: int
    left: str
    right: str


class Key(TypedDict):
    """What turns ratings of a page into comparisons of models; all of it can be written as JSON.

    Attributes:
        format: `KEY_FORMAT`.
        version: 1.
        page: The page that it belongs to: a SHA-256 of what that shows.
        pairs: In the order of the page.
    """

    format: str
    version: int
    page: str
    pairs: list[PairKey]


class _Item(TypedDict, total=False):
    text: str
    picture: str
    small: bool


class _Row(TypedDict):
    left: int
    right: int
    prompt: NotRequired[str]


def blind_page(
    sets: Mapping[str, Sequence[Content]],
    *,
    seed: int,
    title: str,
    question: str = "Which one is better?",
    prompts: Sequence[str] | None = None,
    pairs: int | None = None,
) -> tuple[str, Key]:
    """The page as HTML, and its key, which raters must not see.

    The same arguments give the same page and key. Samples of the same number are compared, of each model with each other one. Pictures lose what else their files say, since that may name a model; texts stay as
    they are.

    Args:
        sets: Samples by model: texts, or PNG files, equally many of each; those of the same number belong together (the same prompt or class).
        seed: Of sides and order.
        title: The heading. It should name no model.
        question: What is asked of each pair.
        prompts: What the samples of each number answer or go on from; shown above both.
        pairs: At most so many pairs, evenly from all pairs of models; by default all.

    Raises:
        DataError: there are fewer than two models, their samples are not equally many, `pairs` gives some models no pair, an item is not a text or a whole
            PNG file, or all are too much for a page.
    """
    count = _sample_count(sets, prompts, title)
    shown = {
        (name, number): _shown(item, f"sample {number} of {name!r}")
        for name in sorted(sets)
        for number, item in enumerate(sets[name])
    }
    if (
        sum(len(item.get("text", "")) + len(item.get("picture", "")) for item in shown.values())
        > MAX_PAGE_BYTES
    ):
        raise too_large()
    draw = random.Random(_digest([seed, title, sorted(shown.items())]))
    chosen = _chosen(sorted(sets), count, pairs, draw)
    places = list({(name, number) for number, left, right in chosen for name in (left, right)})
    # A set has no order of its own; the shuffle makes one that says nothing.
    places.sort()
    draw.shuffle(places)
    at = {place: index for index, place in enumerate(places)}
    rows = [_Row(left=at[left, number], right=at[right, number]) for number, left, right in chosen]
    if prompts is not None:
        asked = [
            inert(checked_text(one, f"prompt {number}"), MAX_CHARACTERS) for number, one in enumerate(prompts)
        ]
        for row, (number, _, _) in zip(rows, chosen, strict=True):
            row["prompt"] = asked[number]
    items = [shown[place] for place in places]
    # Of what is seen alone: a name that went into it could be tried out.
    page = _digest([title, question, items, rows])
    codes = [_digest([page, number])[:16] for number in range(len(rows))]
    data = {
        "page": page,
        "items": items,
        "pairs": [{"pair": code, **row} for code, row in zip(codes, rows, strict=True)],
    }
    key: Key = {
        "format": KEY_FORMAT,
        "version": VERSION,
        "page": page,
        "pairs": [
            {"pair": code, "sample": number, "left": left, "right": right}
            for code, (number, left, right) in zip(codes, chosen, strict=True)
        ],
    }
    return _rendered(title, question, len(rows), data), key


def _sample_count(sets: Mapping[str, Sequence[Content]], prompts: Sequence[str] | None, title: str) -> int:
    """How many samples each model has, where all have equally many."""
    counts = {name: len(items) for name, items in sets.items()}
    if len(sets) < 2 or len(set(counts.values())) != 1 or not all(counts.values()):
        raise DataError(
            f"samples to compare: {counts}",
            where=title,
            remedy="Give two models or more, and equally many samples of each.",
        )
    count = next(iter(counts.values()))
    if prompts is not None and len(prompts) != count:
        raise DataError(
            f"there are {len(prompts)} prompts for {count} samples",
            where=title,
            remedy="Give one for each sample.",
        )
    return count


def _chosen(
    names: list[str], count: int, limit: int | None, draw: random.Random
) -> list[tuple[int, str, str]]:
    """Number, left and right model of each pair, in the order of the page."""
    matches = list(itertools.combinations(names, 2))
    if limit is not None and limit < len(matches):
        raise DataError(
            f"{limit} pairs do not compare each of {len(names)} models with each other one",
            remedy=f"Ask for {len(matches)} pairs at least, or for fewer models.",
        )
    numbers = {match: draw.sample(range(count), count) for match in matches}
    rounds = [
        (match, numbers[match][turn]) for turn in range(count) for match in draw.sample(matches, len(matches))
    ]
    chosen = []
    for match in matches:
        mine = [number for one, number in rounds[:limit] if one == match]
        # As many to the left as to the right; of an odd number the odd one by chance.
        turned = [place % 2 == 0 for place in range(len(mine))]
        flip = draw.random() < 0.5
        draw.shuffle(turned)
        for number, turn in zip(mine, turned, strict=True):
            left, right = match if turn != flip else match[::-1]
            chosen.append((number, left, right))
    draw.shuffle(chosen)
    return chosen


def _shown(item: Content, where: str) -> _Item:
    if isinstance(item, str):
        return {"text": inert(checked_text(item, where), MAX_CHARACTERS)}
    png = plain_png(item, where)
    return {"picture": address(png), "small": png_size(png)[0] < 256}


def _rendered(title: str, question: str, count: int, data: object) -> str:
    style, style_hash, template = gallery_template("blind.html.jinja")
    script = source("blind.js")
    # Nothing in JSON without these can end the element that it stands in.
    written = (
        json.dumps(data, separators=(",", ":"))
        .replace("<", "\\u003c")
        .replace(">", "\\u003e")
        .replace("&", "\\u0026")
    )
    return template.render(
        title=title,
        question=question,
        count=count,
        data=Markup(written),  # noqa: S704
        script=Markup(script),  # noqa: S704 (ours, without an end tag; it must arrive unchanged for its hash to hold)
        script_hash=policy_hash(script),
        style=style,
        style_hash=style_hash,
    )


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
