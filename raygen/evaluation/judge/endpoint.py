"""One request to an endpoint that speaks the chat completions protocol of OpenAI's API, and what its answer means."""

from __future__ import annotations

import email.utils
import json
import math
import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from raygen.errors import InputError, MissingExtraError, RaygenError
from raygen.evaluation.judge.answers import Reply, Token
from raygen.evaluation.judge.costs import Prices

if TYPE_CHECKING:
    from openai import APIStatusError

ALTERNATIVES = 20
"""Tokens whose probabilities are asked for at each place, the most that the protocol allows."""
TEMPLATE_BYTES = 64
"""What a chat template may add to two messages."""

_TRANSIENT = (408, 409, 429)
_SHOWN = 200
_SECRET_LENGTH = 8
# A refusal may quote the texts, in which any parameter's name may stand.
_UNSUPPORTED = re.compile(r"unsupported|not support|unknown|unrecogni[sz]ed|not permitted", re.IGNORECASE)


@dataclass(frozen=True)
class Endpoint:
    """A judge model and where it is served.

    Attributes:
        model: The model, as the endpoint calls it.
        base_url: What stands before /chat/completions, as http://localhost:8000/v1.
        api_key_variable: The environment variable that holds the key. The key itself is in no object that is printed or saved.
            Where the variable is not set, a placeholder is sent, as servers without keys expect.
        timeout_s: Seconds that an endpoint may be silent.
        prices: What its tokens cost.

    Raises:
        InputError: the URL or the time cannot be used.
    """

    model: str
    base_url: str
    api_key_variable: str = "OPENAI_API_KEY"
    timeout_s: float = 60.0
    prices: Prices = field(default_factory=Prices)

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.base_url)
            # Reading the port is what checks it.
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise InputError(
                "the judge's endpoint is not an HTTP URL",
                where="Endpoint.base_url",
                remedy="Give what stands before /chat/completions, as http://localhost:8000/v1.",
            )
        if parts.username is not None or parts.query or parts.fragment:
            raise InputError(
                "the URL of the judge's endpoint says not only where it is",
                where="Endpoint.base_url",
                remedy="Leave out user, password, query and fragment; a key belongs into the environment variable.",
            )
        if not 0 < self.timeout_s < math.inf:
            raise InputError(
                f"the timeout is {self.timeout_s} s", where="Endpoint.timeout_s", remedy="Give more than 0."
            )

    @property
    def place(self) -> str:
        """The URL without a slash at its end."""
        return self.base_url.rstrip("/")


@dataclass(frozen=True)
class Sampling:
    """How a judge draws its replies.

    Attributes:
        samples: Replies whose mean is the expected score, where the endpoint gives no probabilities.
        temperature: 0 for the likeliest tokens. None is 0 for one reply, and 1 for several.
        max_tokens: Limit of a reply, in tokens. Models that think before they reply need some thousands.
        seed: Of the first reply. Most endpoints take it as advice.

    Raises:
        InputError: a number is out of its range.
    """

    samples: int = 1
    temperature: float | None = None
    max_tokens: int = 400
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("samples", 1), ("max_tokens", 1), ("seed", 0), ("temperature", 0)):
            value = getattr(self, name)
            if value is not None and not least <= value < math.inf:
                raise InputError(
                    f"{name} is {value}", where=f"Sampling.{name}", remedy=f"Give {least} or more."
                )

    @property
    def heat(self) -> float:
        """The temperature that is asked for."""
        return (0.0 if self.samples == 1 else 1.0) if self.temperature is None else self.temperature


@dataclass(frozen=True)
class Request:
    """What is asked of an endpoint.

    Attributes:
        system: The system message.
        user: The user message.
        schema: JSON Schema of the reply.
        probabilities: Whether those of the reply's tokens are wanted.
        temperature: How replies are drawn.
        max_tokens: Limit of the reply.
        seed: How replies are drawn.
    """

    system: str
    user: str
    schema: Mapping[str, object]
    probabilities: bool
    temperature: float
    max_tokens: int
    seed: int

    @property
    def prompt_bytes(self) -> int:
        """Bytes of the messages and the schema, which endpoints count too, with some for the marks of a chat template."""
        texts = self.system, self.user, json.dumps(dict(self.schema))
        return sum(len(text.encode()) for text in texts) + TEMPLATE_BYTES


class RequestError(Exception):
    """A request has no answer.

    Args:
        kind: Transient, and worth repeating; Refused, for good, because of what was asked; or Unknown: the endpoint does not know
            a part of the protocol, which the next request leaves out.
        detail: Why, without the key.
        wait_s: Seconds that the endpoint asks to wait before the next request.
        limited: Whether the endpoint says that it is asked too fast.
    """

    def __init__(
        self,
        kind: Literal["Transient", "Refused", "Unknown"],
        detail: str,
        *,
        wait_s: float | None = None,
        limited: bool = False,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.wait_s = wait_s
        self.limited = limited


class _Alternative(BaseModel):
    token: str
    logprob: float


class _Token(_Alternative):
    top_logprobs: list[_Alternative] = []


class _Logprobs(BaseModel):
    content: list[_Token] | None = None


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Usage(BaseModel):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Completion(BaseModel):
    choices: list[_Choice]
    usage: _Usage | None = None


class Client:
    """Sends requests; threads share one. What an endpoint does not know of the protocol it leaves out from then on.

    Raises:
        MissingExtraError: the package openai is not installed.
        InputError: the key cannot be sent.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        try:
            import openai
        except ImportError as error:
            raise MissingExtraError("openai", "judge") from error
        self._endpoint = endpoint
        self._key = os.environ.get(endpoint.api_key_variable, "").strip()
        if not (self._key.isascii() and self._key.isprintable()):
            raise InputError(
                "the judge's key holds characters that a header cannot",
                where=endpoint.api_key_variable,
                remedy="Set the variable to the key alone.",
            )
        self._lock = threading.Lock()
        self._left_out: frozenset[str] = frozenset()
        key = self._key or "none"
        self._openai = openai.OpenAI(
            api_key=key,
            base_url=endpoint.base_url,
            timeout=endpoint.timeout_s,
            # `calls` repeats, within limits and budget, and waits on a clock of its own.
            max_retries=0,
            # OPENAI_CUSTOM_HEADERS would otherwise win over the key that is asked for.
            default_headers={"Authorization": f"Bearer {key}"},
        )
        # The client takes these from OPENAI_ORG_ID and OPENAI_PROJECT_ID, and would send them to any endpoint.
        self._openai.organization = self._openai.project = None

    def close(self) -> None:
        """Closes its connections."""
        self._openai.close()

    def complete(self, request: Request) -> Reply:
        """Sends a request.

        Raises:
            RequestError: it has no answer.
            InputError: no request to this endpoint will have one: the key, the model or the URL is wrong, or a quota is used up.
        """
        import openai

        left_out = self._left_out
        try:
            # The text is parsed here: the client itself takes any JSON for a completion.
            response = self._openai.chat.completions.with_raw_response.create(
                model=self._endpoint.model,
                messages=[
                    {"role": "system", "content": request.system},
                    {"role": "user", "content": request.user},
                ],
                extra_body=_parameters(request, left_out),
            )
            return self._reply(response.text)
        except openai.APITimeoutError:
            detail = f"no answer within {self._endpoint.timeout_s:g} s"
            raise RequestError("Transient", detail) from None
        except openai.APIConnectionError as error:
            cause = type(error.__cause__ or error).__name__
            raise RequestError("Transient", f"the connection failed ({cause})") from None
        except openai.APIStatusError as error:
            unknown = _unknown_parameter(error, left_out)
            if not unknown:
                raise self._failure(error) from None
            with self._lock:
                self._left_out |= {unknown}
            raise RequestError("Unknown", f"the endpoint does not know {unknown}") from None

    def _reply(self, text: str) -> Reply:
        try:
            completion = _Completion.model_validate_json(text)
        except ValidationError:
            raise RequestError("Transient", "the answer is not a chat completion, or not whole") from None
        if not completion.choices:
            raise RequestError("Transient", "the answer holds no choice")
        choice, usage = completion.choices[0], completion.usage or _Usage()
        tokens = (choice.logprobs and choice.logprobs.content) or []
        return Reply(
            self._without_key(choice.message.content or ""),
            "content_filter" if choice.message.refusal else choice.finish_reason or "",
            tuple(
                Token(token.token, tuple((one.token, one.logprob) for one in token.top_logprobs))
                for token in tokens
            ),
            usage.prompt_tokens,
            usage.completion_tokens,
        )

    def _failure(self, error: APIStatusError) -> RaygenError | RequestError:
        """What a status means. Words of the endpoint are shown only where they cannot quote the key."""
        status, where = error.status_code, self._endpoint.place
        if status in (401, 403):
            return InputError(
                f"the judge's endpoint refuses the key (status {status})",
                where=where,
                remedy=f"Set {self._endpoint.api_key_variable} to a key that may use {self._endpoint.model}.",
            )
        if status == 404:
            return InputError(
                "the judge's endpoint has no such model or path (status 404)",
                where=where,
                remedy=f"Check the URL, which ends before /chat/completions, and the model {self._endpoint.model}.",
            )
        if status == 429 and error.code == "insufficient_quota":
            return InputError(
                "the quota of the judge's key is used up", where=where, remedy="Raise it, or use another key."
            )
        words = self._without_key(error.message)
        detail = f"status {status}: {words[:_SHOWN]}"
        if status in _TRANSIENT or status >= 500:
            wait_s = wait_seconds(error.response.headers)
            return RequestError("Transient", detail, wait_s=wait_s, limited=status == 429)
        return RequestError("Refused", detail)

    def _without_key(self, text: str) -> str:
        # What is shorter is a placeholder of a local server, as "none", and an ordinary word of replies.
        return text.replace(self._key, "...") if len(self._key) >= _SECRET_LENGTH else text


def _parameters(request: Request, left_out: frozenset[str]) -> dict[str, object]:
    """What a request holds beside model and messages, without what the endpoint does not know."""
    limit = "max_completion_tokens" if "max_tokens" in left_out else "max_tokens"
    schema = {"name": "answer", "strict": True, "schema": dict(request.schema)}
    parameters: dict[str, object] = {
        limit: request.max_tokens,
        "temperature": request.temperature,
        "seed": request.seed,
        "response_format": {"type": "json_schema", "json_schema": schema},
    }
    if request.probabilities and "logprobs" not in left_out:
        parameters |= {"logprobs": True, "top_logprobs": ALTERNATIVES}
    return {name: value for name, value in parameters.items() if name not in left_out or name == limit}


def _unknown_parameter(error: APIStatusError, left_out: frozenset[str]) -> str:
    """Which optional parameter a refusal is about; empty if about none, or one that was not sent."""
    if error.status_code not in (400, 422):
        return ""
    words: list[str] = []
    if error.param:
        words = [error.param.partition(".")[0]]
    elif _UNSUPPORTED.search(error.message):
        words = re.findall(r"[a-z_]+", error.message)
    named = {"top_logprobs": "logprobs", "json_schema": "response_format"}
    optional = ("response_format", "logprobs", "max_tokens", "temperature", "seed")
    found = [named.get(word, word) for word in words]
    return next((word for word in found if word in optional and word not in left_out), "")


def wait_seconds(headers: Mapping[str, str]) -> float | None:
    """Seconds that an answer asks to wait: retry-after-ms, or Retry-After (RFC 9110, section 10.2.3) as seconds or a date.

    A date is taken relative to the answer's own Date, so that clocks need not agree.
    """
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        if 0 <= seconds < math.inf:
            return seconds
    try:
        until, now = (
            email.utils.parsedate_to_datetime(headers[name]).timestamp() for name in ("retry-after", "date")
        )
    except (KeyError, ValueError):
        return None
    return max(until - now, 0.0)
