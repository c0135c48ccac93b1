"""How likely texts are to a model, from its loss at each token: perplexity, bits per byte, and the places with the greatest loss.

Losses are negative natural logarithms of probabilities. Tokens that a model gives no loss, as the first one of a text, are left out by the caller,
with their bytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Likelihood:
    """How likely one text is, or several together.

    Attributes:
        loss: Sum over the tokens, nats.
        tokens: Their number.
        bytes: Bytes that the tokens stand for.
    """

    loss: float
    tokens: int
    bytes: int

    @property
    def perplexity(self) -> float:
        """The exponential of the mean loss of a token; compares only between models with the same tokenizer. Infinite from a mean of 709 nats on."""
        mean = self.loss / self.tokens
        return math.exp(mean) if mean < 709 else math.inf

    @property
    def bits_per_byte(self) -> float:
        """Bits for each byte of text; compares between tokenizers too, if they stand for the same bytes."""
        return self.loss / math.log(2) / self.bytes


@dataclass(frozen=True)
class Passage:
    """Neighbouring tokens of a text, with what stands around them.

    Attributes:
        text: Number of the text, from 0.
        start: Number of the first token in it, from 0.
        length: Tokens.
        loss: Their mean loss, nats a token.
        before: The tokens ahead of them, at most as many as were asked for.
        tokens: The tokens themselves.
        after: The tokens behind them.
    """

    text: int
    start: int
    length: int
    loss: float
    before: tuple[str, ...]
    tokens: tuple[str, ...]
    after: tuple[str, ...]


def likelihood(losses: ArrayLike, sizes: ArrayLike) -> Likelihood:
    """How likely one text is.

    Args:
        losses: (T,), nats of each token.
        sizes: (T,), bytes that each token stands for; 0 for parts of a character that another token completes.

    Raises:
        ValueError: there are no tokens or no bytes, the shapes differ, or a value is not finite or not possible.
    """
    own, lengths = _checked(losses), np.asarray(sizes)
    if lengths.shape != own.shape or lengths.dtype.kind not in "iu" or (lengths < 0).any():
        raise ValueError(f"{len(own)} tokens need as many whole numbers of bytes from 0, not {lengths!r}")
    if not lengths.sum():
        raise ValueError("the tokens stand for no bytes")
    return Likelihood(math.fsum(own.tolist()), len(own), int(lengths.sum()))


def total(texts: Sequence[Likelihood]) -> Likelihood:
    """How likely all texts are together: every token counts alike, and so long texts count more.

    Raises:
        ValueError: there are no texts.
    """
    if not texts:
        raise ValueError("there are no texts")
    return Likelihood(
        math.fsum(one.loss for one in texts),
        sum(one.tokens for one in texts),
        sum(one.bytes for one in texts),
    )


def worst_passages(
    losses: Sequence[ArrayLike],
    tokens: Sequence[Sequence[str]],
    *,
    count: int = 10,
    length: int = 1,
    around: int = 10,
) -> list[Passage]:
    """The passages with the greatest mean loss of all texts, the worst first; no two of them share a token.

    They are chosen one by one, each the worst of those that overlap none before it; of equal ones the earlier. Texts shorter than `length` have none.

    Args:
        losses: For each text (T,), nats of each token.
        tokens: For each text its T tokens as they are to be shown.
        count: Passages, at most.
        length: Tokens of each: 1 for single tokens, more for windows.
        around: Tokens to show on each side.

    Raises:
        ValueError: tokens and losses do not belong together, losses are not finite, or a number is too small.
    """
    if min(count, length) < 1 or around < 0:
        raise ValueError(f"count {count} and length {length} are at least 1, and around {around} at least 0")
    if len(losses) != len(tokens):
        raise ValueError(f"there are losses of {len(losses)} texts, and tokens of {len(tokens)}")
    columns = [_checked(one, 0) for one in losses]
    for number, (own, shown) in enumerate(zip(columns, tokens, strict=True)):
        if len(own) != len(shown):
            raise ValueError(f"text {number} has {len(own)} losses and {len(shown)} tokens")
    means = [_window_means(one, length) for one in columns]
    where = [(text, start) for text, values in enumerate(means) for start in range(len(values))]
    # A stable sort: of equal ones the earlier stays first.
    order = np.argsort(-np.concatenate([*means, np.empty(0)]), kind="stable")
    free = [np.ones(len(one), dtype=np.bool_) for one in columns]
    found: list[Passage] = []
    for place in order:
        text, start = where[place]
        end = start + length
        if len(found) == count:
            break
        if free[text][start:end].all():
            free[text][start:end] = False
            found.append(
                Passage(
                    *(text, start, length, float(means[text][start])),
                    before=tuple(tokens[text][max(start - around, 0) : start]),
                    tokens=tuple(tokens[text][start:end]),
                    after=tuple(tokens[text][end : end + around]),
                )
            )
    return found


def _window_means(losses: Values, length: int) -> Values:
    """Mean loss of each window of so many tokens (T - length + 1,); each is summed by itself, so that equal windows have equal means."""
    if len(losses) < length:
        return np.empty(0)
    means: Values = np.lib.stride_tricks.sliding_window_view(losses, length).mean(axis=1)
    return means


def _checked(losses: ArrayLike, least: int = 1) -> Values:
    own = np.asarray(losses, dtype=np.float64)
    if own.ndim != 1 or len(own) < least:
        raise ValueError(f"losses have the shape {own.shape}, and not (tokens,) with at least {least}")
    # A sum of logarithms may come out a little below 0.
    if not np.isfinite(own).all() or (own < -1e-3).any():
        raise ValueError("losses are negative logarithms of probabilities: finite, and not below 0")
    return own
