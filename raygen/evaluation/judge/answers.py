"""What a judge has replied, read strictly: a number that has to be guessed is not a score."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from raygen.evaluation.judge.rubrics import HIGHEST, LOWEST

SCORES = range(LOWEST, HIGHEST + 1)
LEAST_MASS = 0.5
"""Probability that the listed scores must have together before an expected score is taken from them."""

_SCORE_AT = re.compile(r'"score"\s*:\s*(?=[0-9])')
_SHOWN = 120


@dataclass(frozen=True)
class Token:
    """A token of a reply.

    Attributes:
        text: What it stands for.
        alternatives: Texts and natural logarithms of probabilities of the likeliest tokens at its place, itself among them.
    """

    text: str
    alternatives: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Reply:
    """What an endpoint has answered to one request.

    Attributes:
        text: The judge's text; empty if it said nothing.
        finish: Why it ended: "stop", "length", "content_filter", or what else an endpoint says.
        tokens: The tokens of the text, where the endpoint gives them.
        input_tokens: Tokens of the prompt; None if the endpoint does not count.
        output_tokens: Tokens of the reply, thoughts included; None if the endpoint does not count.
    """

    text: str
    finish: str = "stop"
    tokens: tuple[Token, ...] = ()
    input_tokens: int | None = None
    output_tokens: int | None = None


@dataclass(frozen=True)
class Answer:
    """What a judge has decided.

    Attributes:
        choice: The score as a digit, or "A", "B" or "tie".
        explanation: Its own words on that; may be empty.
        expected: The expected score over the probabilities of the score's token, where the endpoint gives them.
        likeliest: The score with the largest of these probabilities.
    """

    choice: str
    explanation: str = ""
    expected: float | None = None
    likeliest: int | None = None


class InvalidAnswerError(ValueError):
    """A judge's reply is not what it was asked for."""


class FilteredError(ValueError):
    """The endpoint's own filter has kept the judge from replying."""


def read_score(reply: Reply) -> Answer:
    """The score of a reply.

    Raises:
        InvalidAnswerError: it is anything but a JSON object with an integer from 1 to 5.
        FilteredError: there is none because of a filter.
    """
    score, explanation = _fields(reply, "score")
    # A bool is an int for Python.
    if type(score) is not int or score not in SCORES:
        raise InvalidAnswerError(f"the score is not an integer from {LOWEST} to {HIGHEST}: {_shown(score)}")
    shares = score_probabilities(reply)
    if not shares:
        return Answer(str(score), explanation)
    expected = math.fsum(value * share for value, share in shares.items())
    return Answer(str(score), explanation, expected, max(shares, key=lambda value: (shares[value], -value)))


def read_choice(reply: Reply) -> Answer:
    """The choice of a reply between two answers.

    Raises:
        InvalidAnswerError: it is anything but a JSON object with "A", "B" or "tie".
        FilteredError: there is none because of a filter.
    """
    choice, explanation = _fields(reply, "better")
    if not isinstance(choice, str) or choice not in ("A", "B", "tie"):
        raise InvalidAnswerError(f'the choice is not "A", "B" or "tie": {_shown(choice)}')
    return Answer(choice, explanation)


def score_probabilities(reply: Reply) -> dict[int, float]:
    """The probability of each score where the score's token stands, over those listed there; they add up to 1.

    This is the weighting of G-Eval (Liu et al. 2023, eq. 1), from the probabilities themselves where it drew samples.

    Returns:
        Nothing where the reply has no tokens, they are not those of its text, or the scores listed are unlikely together.
    """
    found = _SCORE_AT.search(reply.text)
    if found is None or "".join(token.text for token in reply.tokens) != reply.text:
        return {}
    offset = 0
    for token in reply.tokens:
        if offset + len(token.text) > found.end():
            before = token.text[: found.end() - offset]
            return _shares(before, token.alternatives)
        offset += len(token.text)
    return {}


def _shares(before: str, alternatives: Sequence[tuple[str, float]]) -> dict[int, float]:
    """Shares of the scores among tokens that begin with the same text before the digit, as ":" or a space."""
    masses: dict[int, float] = {}
    for text, logarithm in alternatives:
        digit, behind = text[len(before) : len(before) + 1], text[len(before) + 1 : len(before) + 2]
        if text.startswith(before) and digit in "12345" and digit and not re.match(r"[0-9.eE]", behind):
            masses[int(digit)] = masses.get(int(digit), 0.0) + math.exp(min(logarithm, 0.0))
    total = math.fsum(masses.values())
    return {score: mass / total for score, mass in sorted(masses.items())} if total >= LEAST_MASS else {}


def _fields(reply: Reply, name: str) -> tuple[object, str]:
    """The value of a field, and the explanation, of a reply that is one JSON object with these alone."""
    if reply.finish == "content_filter":
        raise FilteredError("the endpoint has filtered the reply")
    if not reply.text.strip():
        raise InvalidAnswerError(f"the reply is empty (finish_reason {reply.finish})")
    try:
        found = json.loads(reply.text, object_pairs_hook=_object, parse_constant=_constant)
    except InvalidAnswerError:
        raise
    except (ValueError, RecursionError):
        cut = ", cut off at the limit of tokens" if reply.finish == "length" else ""
        raise InvalidAnswerError(f"the reply is not JSON{cut}: {_shown(reply.text)}") from None
    if not isinstance(found, dict) or name not in found or found.keys() - {name, "explanation"}:
        raise InvalidAnswerError(f"the reply is not an object with {name!r}: {_shown(found)}")
    explanation = found.get("explanation", "")
    if not isinstance(explanation, str):
        raise InvalidAnswerError("the explanation is not a text")
    # JSON can spell halves of characters, which cannot be printed.
    return found[name], explanation.encode("utf-8", "replace").decode()


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise InvalidAnswerError("the reply has a field twice")
    return found


def _constant(name: str) -> object:
    raise InvalidAnswerError(f"the reply holds {name}, which is not JSON")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
