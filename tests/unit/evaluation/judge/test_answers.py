"""Replies of a judge: what is a score, and what probabilities say of it."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.evaluation.judge.answers import (
    Answer,
    FilteredError,
    InvalidAnswerError,
    Reply,
    Token,
    read_choice,
    read_score,
    score_probabilities,
)
from tests.budget import examples

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def tokens(*parts: str | dict[str, float]) -> tuple[Token, ...]:
    """Texts, and for the score's token the probabilities of texts at its place, the first of which is the one chosen."""
    return tuple(
        Token(part, ()) if isinstance(part, str) else Token(next(iter(part)), logarithms(part))
        for part in parts
    )


def logarithms(chances: dict[str, float]) -> tuple[tuple[str, float], ...]:
    return tuple((text, math.log(chance)) for text, chance in chances.items())


def replied(*parts: str | dict[str, float]) -> Reply:
    made = tokens(*parts)
    return Reply("".join(token.text for token in made), tokens=made)


@given(VALUES)
@examples(200)
def test_any_value_is_a_score_or_an_error(value: object) -> None:
    reply = Reply(json.dumps({"score": value}))
    if type(value) is int and 1 <= value <= 5:
        assert read_score(reply) == Answer(str(value))
    else:
        with pytest.raises(InvalidAnswerError):
            read_score(reply)


@given(st.text(max_size=40))
@examples(200)
def test_any_text_is_an_answer_or_an_error(text: str) -> None:
    for read in (read_score, read_choice):
        with pytest.raises(InvalidAnswerError):
            read(Reply(text))


@pytest.mark.parametrize("choice", ["A", "B", "tie"])
def test_a_choice(choice: str) -> None:
    assert read_choice(Reply(json.dumps({"better": choice, "explanation": "e"}))) == Answer(choice, "e")


@pytest.mark.parametrize("choice", ["a", "C", "", "first", 1, None, ["A"]])
def test_what_is_not_a_choice(choice: object) -> None:
    with pytest.raises(InvalidAnswerError, match="the choice is not"):
        read_choice(Reply(json.dumps({"better": choice})))


def test_what_a_filter_or_a_limit_did_is_told() -> None:
    with pytest.raises(FilteredError):
        read_score(Reply("", "content_filter"))
    with pytest.raises(InvalidAnswerError, match="cut off at the limit of tokens"):
        read_score(Reply('{"score": 4, "explan', "length"))
    with pytest.raises(InvalidAnswerError, match="empty"):
        read_score(Reply("", "length"))


@pytest.mark.parametrize(
    "reply",
    [
        replied('{"score": ', {"4": 0.6, "5": 0.2, "3": 0.1, "five": 0.1}, "}"),
        replied('{"', "score", '":', {" 4": 0.6, " 5": 0.2, " 3": 0.1, "5": 0.1}, "}"),
        replied('{"score"', {":4": 0.6, ":5": 0.2, ":3": 0.1, ": 4": 0.1}, "}"),
        replied('{"score":', {"4}": 0.6, "5,": 0.2, "3": 0.1, "45": 0.05, "4.5": 0.05}),
    ],
    ids=["digit", "space", "colon", "behind"],
)
def test_probabilities_are_those_where_the_score_stands(reply: Reply) -> None:
    assert score_probabilities(reply) == pytest.approx({4: 0.6 / 0.9, 5: 0.2 / 0.9, 3: 0.1 / 0.9})
    answer = read_score(reply)
    assert answer.expected == pytest.approx((4 * 0.6 + 5 * 0.2 + 3 * 0.1) / 0.9)
    assert answer.likeliest == 4


def test_a_drawn_score_that_is_not_the_likeliest() -> None:
    answer = read_score(replied('{"score":', {"2": 0.2, "5": 0.8}, "}"))
    assert (answer.choice, answer.likeliest) == ("2", 5)


@pytest.mark.parametrize(
    "reply",
    [
        Reply('{"score": 4}'),
        Reply('{"score": 4}', tokens=tokens('{"score": ', {"4": 1.0})),
        replied('{"score": ', {"4": 0.2, "a": 0.4}, "}"),
        replied('{"score": ', "4", "}"),
    ],
    ids=["no tokens", "other tokens", "unlikely", "no alternatives"],
)
def test_without_usable_probabilities_there_are_none(reply: Reply) -> None:
    assert score_probabilities(reply) == {}
    assert read_score(reply) == Answer("4")


def test_a_score_inside_the_explanation_is_passed_over() -> None:
    explanation = json.dumps('it says "score": 5')
    reply = replied(f'{{"explanation": {explanation}, "score": ', {"2": 0.9, "1": 0.1}, "}")
    assert score_probabilities(reply) == pytest.approx({2: 0.9, 1: 0.1})


@given(st.dictionaries(st.sampled_from("12345"), st.floats(0.01, 1.0), min_size=1))
@examples(100)
def test_expected_scores_lie_between_the_scores(chances: dict[str, float]) -> None:
    total = sum(chances.values())
    reply = replied('{"score":', {digit: chance / total for digit, chance in chances.items()}, "}")
    expected = read_score(reply).expected
    assert expected is not None
    assert min(map(int, chances)) - 1e-9 <= expected <= max(map(int, chances)) + 1e-9
    assert sum(score_probabilities(reply).values()) == pytest.approx(1.0)


def test_an_explanation_can_be_printed() -> None:
    answer = read_score(Reply('{"score": 3, "explanation": "half \\ud83d of one"}'))
    assert answer.explanation == "half ? of one"
