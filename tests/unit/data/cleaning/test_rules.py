from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.data.cleaning.rules import page, quality, repetition, sentences_alone
from tests.budget import examples
from tests.unit.data.cleaning.texts import document, vocabulary

PROSE = (
    "The first settlers of the valley came with the spring floods, and they built low houses of stone that have stood to this day. "
    "Nobody knows who laid out the fields, but each of them ends at a wall which is older than any house. "
    "In autumn people gather to burn what the wind has left, and children are told of the year without a summer. "
    "Travellers should bring warm clothes, for nights up here can be cold even when days are mild."
)  # fmt: skip


def words(count: int, seed: int = 0) -> str:
    generator = random.Random(seed)
    return document(generator, vocabulary(generator, 5000), count)


def test_prose_passes() -> None:
    assert (repetition(PROSE), quality(PROSE), page(PROSE)) == (None, None, None)
    assert sentences_alone(PROSE) == PROSE


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("\n".join(["again and again"] * 4 + ["once", "twice", "thrice"]), "43% (at most 30%) of its lines"),
        ("\n".join(["a long line that is there two times in all"] * 2 + list("abcdefgh")), "lines that were there before have 46%"),
        ("\n\n".join([f"{words(10)}\n{i}" for i in range(7)] + ["same\nparagraph"] * 6), "lines"),
        (" ".join(["spam eggs"] * 8 + [words(30)]), "the most common run of 2 words"),
        (f"{words(40)} {words(40)}", "runs of 5 words that were there before have 50% (at most 15%)"),
    ],
)  # fmt: skip
def test_repetition(text: str, reason: str) -> None:
    assert reason in (repetition(text) or "")


def test_n_grams_are_not_looked_at_in_short_texts() -> None:
    text = words(24).split()
    for count in range(2, 25):
        assert repetition(" ".join(text[:count])) is None
    assert repetition("ha " * 24) is None
    assert repetition("ha " * 25) is not None


def by_loop(text: str, size: int) -> float:
    """The share of characters in n-grams that were there before, one after the other."""
    parts = text.split()
    seen, covered = set(), set()
    for at in range(len(parts) - size + 1):
        gram = tuple(parts[at : at + size])
        if gram in seen:
            covered |= set(range(at, at + size))
        seen.add(gram)
    return sum(len(parts[at]) for at in covered) / sum(map(len, parts))


@examples(80)
@given(st.lists(st.sampled_from(["aa", "b", "ccc", "dddd"]), min_size=25, max_size=60), st.integers(0, 40))
def test_repeated_n_grams_are_counted_as_said(repeats: list[str], others: int) -> None:
    text = " ".join([*repeats, *(f"w{number}" for number in range(others))])
    reason = repetition(text) or ""
    if reason.startswith("runs of 5 words"):
        assert f"have {by_loop(text, 5):.0%}" in reason
    elif not reason:
        assert by_loop(text, 5) <= 0.15
        assert by_loop(text, 10) <= 0.10


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("the and " * 20, "it has 40 words"),
        ("a i to of " * 20, "1.5 characters on average"),
        (PROSE + " ######## ########", "16 # for"),
        ("\n".join(f"- {line}" for line in PROSE.split(". ")), "begin with a bullet"),
        ("\n".join(f"{line}..." for line in PROSE.split(". ")), "end with an ellipsis"),
        (PROSE + " 1234567" * 30, "of its words have a letter"),
        (words(60).replace("the", "x"), "fewer than two of the words"),
    ],
)
def test_quality(text: str, reason: str) -> None:
    assert reason in (quality(text) or "")


def test_lines_that_are_no_sentences_go() -> None:
    lines = [
        "Home | About | Contact",
        "This is the first sentence of the page.",
        "Please enable JavaScript to see this page.",
        "We use cookies to make this site better.",
        "Too short a line.",
        'She said "this is quite enough for today"',
        "And so it went on and on and on...",
        "The last one has a mark of a citation.[3][citation needed]",
    ]
    assert sentences_alone("\n".join(lines)) == "\n".join(
        [lines[1], lines[5], "The last one has a mark of a citation."]
    )
    assert sentences_alone("") == ""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (PROSE + " function() { }", "curly bracket"),
        (PROSE + " Lorem Ipsum dolor.", "lorem ipsum"),
        ("Just one. And two.", "it has 2 sentences"),
        ("", "it has 0 sentences"),
    ],
)
def test_page(text: str, reason: str) -> None:
    assert reason in (page(text) or "")


@examples(150)
@given(st.lists(st.sampled_from(["one two three four five.", "[1]", "[", "1]", "no end", "\n", "", '"', "..."]), max_size=10).map("\n".join))  # fmt: skip
def test_taking_lines_out_again_changes_nothing(text: str) -> None:
    once = sentences_alone(text)
    assert sentences_alone(once) == once
