"""When the next request may go out: limits per minute, and waits that an endpoint asks for."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Protocol

from raygen.errors import InputError

MINUTE = 60.0
"""Seconds over which limits are counted."""


class Clock(Protocol):
    """Seconds that only grow, and waits for them."""

    def now(self) -> float:
        """Seconds since any moment."""
        ...

    def wait_until(self, moment: float, stop: threading.Event) -> None:
        """Returns at the moment, or when the event is set."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> float:
        """Seconds on the monotonic clock."""
        return time.monotonic()

    def wait_until(self, moment: float, stop: threading.Event) -> None:
        """Returns at the moment, or when the event is set."""
        stop.wait(max(moment - self.now(), 0.0))


@dataclass(frozen=True)
class Limits:
    """How fast an endpoint may be asked.

    Attributes:
        concurrency: Requests at the same time.
        requests_per_minute: Requests in any 60 seconds, repeated ones included; None for any number.
        tokens_per_minute: Tokens in any 60 seconds, counted before a request as a third of the prompt's bytes and the limit of
            the reply; None for any number.

    Raises:
        InputError: a limit is below 1.
    """

    concurrency: int = 8
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None

    def __post_init__(self) -> None:
        for name in ("concurrency", "requests_per_minute", "tokens_per_minute"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(
                    f"a judge's limit is {value}", where=f"Limits.{name}", remedy="Give 1 or more."
                )


class Pacer:
    """Books requests so that no 60 seconds hold more than the limits; threads share one.

    A request that alone is larger than the limit of tokens goes out when nothing else was booked for a minute.
    """

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._lock = threading.Lock()
        self._booked: deque[tuple[float, int]] = deque()
        self._tokens = 0
        self._last = 0.0
        self._paused = 0.0

    def wait(self, tokens: int, stop: threading.Event) -> None:
        """Returns when a request of so many tokens may go out, or when the event is set."""
        while not stop.is_set():
            moment = self._book(tokens)
            self._clock.wait_until(moment, stop)
            with self._lock:
                if self._paused <= moment:
                    return
            # The endpoint has asked for a pause since. What was booked stays booked, so that limits hold after the pause too.

    def pause(self, seconds: float) -> None:
        """Sends no request for so long, by any thread."""
        with self._lock:
            self._paused = max(self._paused, self._clock.now() + seconds)

    def _book(self, tokens: int) -> float:
        with self._lock:
            moment = max(self._clock.now(), self._paused, self._last)
            while self._booked and (self._booked[0][0] + MINUTE <= moment or not self._fits(tokens)):
                past, size = self._booked.popleft()
                self._tokens -= size
                moment = max(moment, past + MINUTE)
            self._booked.append((moment, tokens))
            self._tokens += tokens
            self._last = moment
            return moment

    def _fits(self, tokens: int) -> bool:
        requests, amount = self._limits.requests_per_minute, self._limits.tokens_per_minute
        return (requests is None or len(self._booked) < requests) and (
            amount is None or self._tokens + tokens <= amount
        )
