"""What can be read off a text without a model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.evaluation.judge.offline import words
from tests.budget import examples


def test_sentences_end_where_they_end() -> None:
    text = 'Mr. Smith\'s bridge opened at 4:00 p.m. on 27 May 1937. It cost $3.5 million! "Did it?" he asked. U.S. steel was used.\nA line'
    assert words.sentences(text) == [
        "Mr. Smith's bridge opened at 4:00 p.m. on 27 May 1937.",
        "It cost $3.5 million!",
        '"Did it?" he asked.',
        "U.S. steel was used.",
        "A line",
    ]


def test_texts_without_capitals_have_sentences_too() -> None:
    assert words.sentences("he came . she left , it was 3.5 . ... ok ?") == [
        "he came .",
        "she left , it was 3.5 .",
        "ok ?",
    ]


@given(st.text())
@examples(200)
def test_sentences_hold_every_letter_and_digit(text: str) -> None:
    def known(text: str) -> str:
        return "".join(filter(str.isalnum, text))

    found = words.sentences(text)
    assert known("".join(found)) == known(text)
    assert all(one == one.strip() for one in found)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("1,200 and 1200", ["1200", "1200"]),
        ("twenty-five men, seven years", ["25", "7"]),
        ("It is 3.50, then 4:30.", ["3.5", "4:30"]),
        ("one of them", []),
        ("007 of 0", ["7", "0"]),
    ],
)
def test_numbers_are_the_same_however_they_are_written(text: str, numbers: list[str]) -> None:
    assert words.numbers(text) == numbers


def test_names_are_words_with_capitals_that_begin_no_sentence() -> None:
    assert words.names("The chief engineer was Joseph Strauss's friend, I think.") == ["joseph", "strauss"]
    assert words.names("Joseph Strauss built it.") == ["joseph", "strauss"]
    assert words.names("Bridges are long.") == []
    assert words.names("NASA built it in May.") == ["nasa"]


def test_forms_of_a_word_have_one_stem() -> None:
    for forms in (
        ("open", "opens", "opened", "opening"),
        ("city", "cities"),
        ("stop", "stopped", "stops"),
        ("make", "makes", "making"),
    ):
        assert len({words.stem(form) for form in forms}) == 1, forms
    assert words.stem("glass") == "glass"


def test_words_that_say_no_are_counted() -> None:
    assert words.negations("It isn't so, and nobody knows.") == 2
    assert words.negations("It is so.") == 0
