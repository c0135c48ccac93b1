"""What a judge costs, and a budget that it does not exceed."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, fields, replace

from raygen.errors import InputError

MILLION = 1_000_000


@dataclass(frozen=True)
class Prices:
    """What tokens cost, in any currency.

    Attributes:
        input_per_million: Of a million tokens of prompts.
        output_per_million: Of a million tokens of replies.

    Raises:
        InputError: a price is negative or not a number.
    """

    input_per_million: float = 0.0
    output_per_million: float = 0.0

    def __post_init__(self) -> None:
        for name in ("input_per_million", "output_per_million"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(
                    f"a price is {getattr(self, name)}", where=f"Prices.{name}", remedy="Give 0 or more."
                )

    def of(self, input_tokens: int, output_tokens: int) -> float:
        """The price of so many tokens."""
        return (input_tokens * self.input_per_million + output_tokens * self.output_per_million) / MILLION


@dataclass(frozen=True)
class Usage:
    """What was sent and what it cost.

    Attributes:
        requests: Requests that went out, repeated ones included.
        input_tokens: Tokens of prompts, as the endpoint has counted them.
        output_tokens: Tokens of replies, as the endpoint has counted them.
        cost: Their price. A reply without a count costs what it could have cost at most.
        without_count: Replies without a count of tokens.
        lost: Requests without a whole reply. They are not in the cost, although an endpoint may charge for some of them.
        from_cache: Answers that needed no request.
    """

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    without_count: int = 0
    lost: int = 0
    from_cache: int = 0

    def __sub__(self, other: Usage) -> Usage:
        """What was added since."""
        return Usage(*(getattr(self, one.name) - getattr(other, one.name) for one in fields(self)))


class Ledger:
    """Adds up costs, and lets a request go out only if the budget covers it at its most; threads share one."""

    def __init__(self, prices: Prices, budget: float | None) -> None:
        self._prices = prices
        self._budget = math.inf if budget is None else budget
        self._changed = threading.Condition()
        self._held = 0.0
        self._holders = 0
        self._usage = Usage()

    @property
    def usage(self) -> Usage:
        """What was sent so far."""
        with self._changed:
            return self._usage

    def most(self, prompt_bytes: int, reply_tokens: int) -> float:
        """What a request costs at most: tokenizers that work on bytes make no more tokens than there are bytes."""
        return self._prices.of(prompt_bytes, reply_tokens)

    def reserve(self, amount: float) -> bool:
        """Holds an amount for a request. Waits while other requests hold what it may take once they have cost less.

        Returns:
            Whether the budget covers it.
        """
        with self._changed:
            while self._usage.cost + self._held + amount > self._budget:
                if not self._holders:
                    return False
                self._changed.wait()
            self._held += amount
            self._holders += 1
            return True

    def settle(self, amount: float, *, sent: bool, reply: tuple[int | None, int | None] | None) -> None:
        """Frees a held amount and writes down what the request cost.

        Args:
            amount: What was reserved.
            sent: Whether the request went out.
            reply: Tokens of the prompt and the reply, each None if not counted; None without a whole reply.
        """
        with self._changed:
            self._holders -= 1
            # Sums of floats leave a rest, which would hold some budget for ever.
            self._held = self._held - amount if self._holders else 0.0
            usage = self._usage
            if reply is not None:
                sizes = [size for size in reply if size is not None]
                usage = replace(
                    usage,
                    input_tokens=usage.input_tokens + (reply[0] or 0),
                    output_tokens=usage.output_tokens + (reply[1] or 0),
                    cost=usage.cost + (self._prices.of(*sizes) if len(sizes) == 2 else amount),
                    without_count=usage.without_count + (len(sizes) < 2),
                )
            self._usage = replace(
                usage, requests=usage.requests + sent, lost=usage.lost + (sent and reply is None)
            )
            self._changed.notify_all()

    def reuse(self) -> None:
        """Counts an answer that needed no request."""
        with self._changed:
            self._usage = replace(self._usage, from_cache=self._usage.from_cache + 1)
