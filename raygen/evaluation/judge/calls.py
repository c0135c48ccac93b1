"""Questions to a judge and their answers: from the cache, or by requests that are repeated within bounds."""

from __future__ import annotations

import hashlib
import json
import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from raygen.errors import InputError
from raygen.evaluation.judge.answers import Answer, FilteredError, InvalidAnswerError, Reply
from raygen.evaluation.judge.cache import KEPT_REASONS, Cache, NoAnswer
from raygen.evaluation.judge.costs import Ledger
from raygen.evaluation.judge.endpoint import Request, RequestError, Sampling
from raygen.evaluation.judge.pacing import Clock, Pacer
from raygen.evaluation.judge.prompts import Prompt

BYTES_PER_TOKEN = 3
"""Of text, for the limit of tokens a minute, where the endpoint counts by itself and answers 429 if this is too few."""

Stop = Literal["Budget", "Unreachable"]


class Completes(Protocol):
    """Whatever sends a request."""

    def complete(self, request: Request) -> Reply:
        """Its reply, or a `RequestError`."""
        ...


@dataclass(frozen=True)
class Retries:
    """How often a request is repeated, and how long is waited in between.

    The n-th wait is `first_wait_s` times 2^(n-1), at most `longest_wait_s`, of which a part that follows from the request is
    left out, so that requests which failed together do not come back together. A wait that the endpoint asks for counts
    instead, if it is longer.

    Attributes:
        requests: Requests for one reply, when the endpoint answers 408, 409, 429 or 5xx, or the connection fails.
        replies: Replies that are asked for when they are not what they should be.
        first_wait_s: Seconds.
        longest_wait_s: Seconds. An endpoint that asks for a longer wait counts as unreachable.
        unreachable: Questions in a row that the endpoint leaves without an answer before a pass stops, or refuses before it has
            answered any.

    Raises:
        InputError: a number is out of its range.
    """

    requests: int = 6
    replies: int = 3
    first_wait_s: float = 1.0
    longest_wait_s: float = 120.0
    unreachable: int = 10

    def __post_init__(self) -> None:
        for name, least in (("requests", 1), ("replies", 1), ("first_wait_s", 0), ("longest_wait_s", 0)):
            if not least <= getattr(self, name) < math.inf:
                raise InputError(
                    f"{name} is {getattr(self, name)}",
                    where=f"Retries.{name}",
                    remedy=f"Give {least} or more.",
                )

    def wait_s(self, failures: int, key: str) -> float:
        """Seconds to wait after so many failures."""
        share = int(hashlib.sha256(f"{key}:{failures}".encode()).hexdigest()[:8], 16) / 0xFFFFFFFF
        longest = min(self.first_wait_s * 2.0 ** min(failures - 1, 60), self.longest_wait_s)
        return longest * (0.5 + 0.5 * share)


@dataclass(frozen=True)
class Question:
    """What is asked of a judge.

    Attributes:
        metric: By what it judges.
        prompt: The instructions.
        texts: What is judged, by the names that the judge sees.
        sample: Which of several replies, from 0.
        read: The answer of a reply.
    """

    metric: str
    prompt: Prompt
    texts: Mapping[str, str]
    sample: int
    read: Callable[[Reply], Answer]


@dataclass(frozen=True)
class Means:
    """What questions of a judge share.

    Attributes:
        client: Sends requests.
        model: The model.
        place: Its endpoint's URL without secrets.
        sampling: How replies are drawn.
        retries: How requests are repeated.
        pacer: When they may go out.
        ledger: What they may cost.
        cache: Answers.
        clock: Time.
    """

    client: Completes
    model: str
    place: str
    sampling: Sampling
    retries: Retries
    pacer: Pacer
    ledger: Ledger
    cache: Cache
    clock: Clock

    def key(self, question: Question) -> str:
        """The hash of all that an answer depends on."""
        sampling = self.sampling
        parts = [
            *(self.place, self.model, question.metric, question.prompt.version),
            *(list(question.texts.items()), question.sample),
            *(sampling.samples, sampling.heat, sampling.max_tokens, sampling.seed),
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class StoppedError(Exception):
    """A pass has been stopped before this question was asked."""


class Calls:
    """The questions of one pass; threads share it.

    Attributes:
        stop: Set when no more requests are to go out. What the cache knows is still answered.
        why: Why it was set by a call: the budget, or an endpoint that does not answer.
    """

    def __init__(self, means: Means) -> None:
        self._means = means
        self._lock = threading.Lock()
        self._unanswered = self._refused = 0
        self._answered = False
        self.stop = threading.Event()
        self.why: Stop | None = None

    def ask(self, question: Question) -> Answer | NoAnswer:
        """The judge's answer, or why there is none.

        Raises:
            StoppedError: the pass has been stopped.
            InputError: no request will have an answer, as with a wrong key.
            OutputError: the answer cannot be kept.
        """
        means = self._means
        key = means.key(question)
        known = means.cache.get(key)
        if known is not None:
            means.ledger.reuse()
            return known
        outcome = self._outcome(question, key)
        if isinstance(outcome, NoAnswer) and outcome.reason not in KEPT_REASONS:
            return outcome
        about = {"model": means.model, "metric": question.metric, "prompt": question.prompt.version}
        return means.cache.put(key, outcome, about)

    def _outcome(self, question: Question, key: str) -> Answer | NoAnswer:
        means, detail = self._means, ""
        system, user = question.prompt.messages(question.texts)
        for attempt in range(means.retries.replies):
            request = Request(
                system,
                user,
                question.prompt.schema,
                question.prompt.has_probabilities,
                means.sampling.heat,
                means.sampling.max_tokens,
                # Other numbers than those of other samples: the same seed may give the same invalid reply again.
                means.sampling.seed + question.sample + attempt * means.sampling.samples,
            )
            try:
                return question.read(self._send(request, key))
            except InvalidAnswerError as error:
                detail = str(error)
            except FilteredError as error:
                return NoAnswer("Filtered", str(error))
            except RequestError as error:
                if error.kind == "Transient":
                    return NoAnswer("Unreachable", error.detail)
                self._count_refused(error.detail)
                return NoAnswer("Refused", error.detail)
        return NoAnswer("InvalidAnswer", f"{detail} ({means.retries.replies} replies)")

    def _send(self, request: Request, key: str) -> Reply:
        means, failures = self._means, 0
        while True:
            try:
                reply = self._once(request)
            except RequestError as error:
                if error.kind == "Refused":
                    raise
                if error.kind == "Unknown":
                    continue
                failures += 1
                wait_s = max(means.retries.wait_s(failures, key), error.wait_s or 0.0)
                if failures == means.retries.requests or wait_s > means.retries.longest_wait_s:
                    self._count_unanswered()
                    raise
                if error.limited and error.wait_s:
                    means.pacer.pause(wait_s)
                means.clock.wait_until(means.clock.now() + wait_s, self.stop)
            else:
                with self._lock:
                    self._unanswered, self._answered = 0, True
                return reply

    def _once(self, request: Request) -> Reply:
        means = self._means
        amount = means.ledger.most(request.prompt_bytes, request.max_tokens)
        if self.stop.is_set():
            raise StoppedError
        if not means.ledger.reserve(amount):
            self._halt("Budget")
            raise StoppedError
        sent, tokens = False, None
        try:
            means.pacer.wait(request.prompt_bytes // BYTES_PER_TOKEN + request.max_tokens, self.stop)
            if self.stop.is_set():
                raise StoppedError
            sent = True
            reply = means.client.complete(request)
            tokens = reply.input_tokens, reply.output_tokens
            return reply
        finally:
            means.ledger.settle(amount, sent=sent, reply=tokens)

    def _count_unanswered(self) -> None:
        with self._lock:
            self._unanswered += 1
            over = self._unanswered >= self._means.retries.unreachable
        if over:
            self._halt("Unreachable")

    def _count_refused(self, detail: str) -> None:
        """Raises an InputError where the endpoint has refused whatever it was asked so far."""
        with self._lock:
            self._refused += 1
            over = not self._answered and self._refused >= self._means.retries.unreachable
        if over:
            raise InputError(
                f"the judge's endpoint refuses every request: {detail}",
                where=self._means.place,
                remedy="Check the model and what it can do.",
            )

    def _halt(self, why: Stop) -> None:
        with self._lock:
            if not self.stop.is_set():
                self.why = why
                self.stop.set()
