"""What is sent to an endpoint, what is not, and what it may ask to wait."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from raygen.errors import InputError, RaygenError
from raygen.evaluation.judge import Case, Endpoint, Judge, Limits, Prices, Retries, Sampling
from raygen.evaluation.judge.endpoint import wait_seconds
from tests.unit.evaluation.judge.fake import (
    KEY,
    ROOT,
    Body,
    FakeEndpoint,
    VirtualClock,
    cases,
    environment,
    reply,
)

MONDAY = "Mon, 30 Nov 2026 20:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "7"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7.0),
        ({"retry-after": "Mon, 30 Nov 2026 20:00:30 GMT", "date": MONDAY}, 30.0),
        ({"retry-after": "Mon, 30 Nov 2026 19:00:00 GMT", "date": MONDAY}, 0.0),
        ({"retry-after": "Mon, 30 Nov 2026 20:00:30 GMT"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon", "date": MONDAY}, None),
        ({}, None),
    ],
)
def test_how_long_an_endpoint_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert wait_seconds(headers) == seconds


def test_the_schema_is_asked_for_and_left_out_where_it_is_unknown(fake: FakeEndpoint) -> None:
    def picky(body: Body, number: int) -> str | tuple[int, Body, dict[str, str]]:
        for name in ("response_format", "logprobs", "max_tokens", "seed"):
            if name in body:
                message = f"Unsupported parameter: '{name}' is not supported with this model."
                return 400, {"error": {"message": message, "param": name}}, {}
        return reply(3)

    fake.reply = picky
    with Judge(fake.endpoint(), limits=Limits(concurrency=1), clock=VirtualClock()) as judge:
        scores = judge.score(cases(3), ["Relevance"]).scores
    assert [score.score for score in scores] == [3, 3, 3]
    assert fake.bodies[0]["response_format"]["json_schema"]["strict"] is True
    assert fake.bodies[-1].keys() == {"model", "messages", "temperature", "max_completion_tokens"}
    assert len(fake.bodies) == judge.usage.requests == 4 + 3


def test_the_key_is_in_no_file_error_or_log(
    fake: FakeEndpoint, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answers: list[Any] = [
        (401, {"error": {"message": f"Incorrect API key provided: {KEY}"}}, {}),
        (400, {"error": {"message": f"bad request with {KEY}"}}, {}),
        (500, {"error": {"message": f"it broke with {KEY}"}}, {}),
        json.dumps({"score": 4, "explanation": f"The key is {KEY}."}),
        f"not JSON: {KEY}",
    ]
    said = []
    for answer in answers:
        fake.reply = lambda body, number, answer=answer: answer
        with Judge(fake.endpoint(), cache=tmp_path, clock=VirtualClock()) as judge:
            said.append(repr(judge.__dict__))
            try:
                said.append(repr(judge.score([Case("q", f"{answer}"[:9])], ["Fluency"])))
            except RaygenError as error:
                said.append(f"{error}{error!r}{error.__cause__!r}")
    assert fake.keys == {f"Bearer {KEY}"}
    assert "InputError" in said[1]
    assert "Refused" in said[3]
    files = "".join(path.read_text() for path in tmp_path.iterdir())
    assert files.count("\n") == 2
    assert KEY not in files + "".join(said) + caplog.text


def test_environment_variables_of_the_client_send_nothing_to_an_endpoint(
    fake: FakeEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "our-organisation")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "our-project")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer another-key")
    with Judge(fake.endpoint(), clock=VirtualClock()) as judge:
        judge.score(cases(1), ["Fluency"])
    assert fake.keys == {f"Bearer {KEY}"}
    assert not [value for value in fake.headers[0].values() if "our-" in value]


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Endpoint("m", "localhost:8000/v1"), "HTTP URL"),
        (lambda: Endpoint("m", "http://localhost:port/v1"), "HTTP URL"),
        (lambda: Endpoint("m", "http://user:canary@h/v1"), "not only where"),
        (lambda: Endpoint("m", "http://h/v1?key=canary"), "not only where"),
        (lambda: Endpoint("m", "http://h/v1", timeout_s=0), "timeout"),
        (lambda: Prices(-1.0), "price"),
        (lambda: Limits(concurrency=0), "limit is 0"),
        (lambda: Sampling(samples=0), "samples is 0"),
        (lambda: Retries(requests=0), "requests is 0"),
        (lambda: Judge(Endpoint("m", "http://h/v1"), budget=1.0), "needs prices"),
        (lambda: Judge(Endpoint("m", "http://h/v1", prices=Prices(1.0)), budget=-1.0), "budget is -1"),
    ],
)
def test_wrong_settings_are_refused(build: Any, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        build()
    assert caught.value.remedy
    assert "canary" not in str(caught.value)


def test_without_the_client_the_extra_is_named(fake: FakeEndpoint) -> None:
    program = """
        import sys
        sys.modules["openai"] = None
        from raygen.errors import MissingExtraError
        from raygen.evaluation.judge import Endpoint, Judge
        try:
            Judge(Endpoint("m", "http://h/v1"))
        except MissingExtraError as error:
            print(error)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=True)
    assert "raygen[judge]" in done.stdout


def test_a_placeholder_for_a_key_changes_no_reply(
    fake: FakeEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUDGE_TEST_KEY", "score")
    fake.reply = lambda body, number: reply(4)
    with Judge(fake.endpoint(), clock=VirtualClock()) as judge:
        assert judge.score(cases(1), ["Fluency"]).scores[0].score == 4


def test_a_key_that_no_header_can_hold_is_refused(
    fake: FakeEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUDGE_TEST_KEY", f"{KEY}\nX-Other: 1")
    with pytest.raises(InputError, match="a header cannot") as caught:
        Judge(fake.endpoint())
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "left_out"),
    [
        ({"message": "Unsupported value: 0 is not supported", "param": "temperature"}, {"temperature"}),
        ({"message": "Invalid schema", "param": "response_format.json_schema"}, {"response_format"}),
        ({"message": "Unknown field: top_logprobs"}, {"logprobs", "top_logprobs"}),
        ({"message": "'seed': extra inputs are not permitted"}, {"seed"}),
        ({"message": "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens'."}, {"max_tokens"}),
        ({"message": "Bad input: what does temperature mean?"}, set()),
        ({"message": "the prompt is too long", "param": "messages"}, set()),
    ],
    ids=lambda value: value["message"][:20] if isinstance(value, dict) else "",
)
def test_what_an_endpoint_does_not_know_is_found_in_its_refusal(
    fake: FakeEndpoint, error: Body, left_out: set[str]
) -> None:
    def picky(body: Body, number: int) -> str | tuple[int, Body, dict[str, str]]:
        return (400, {"error": error}, {}) if left_out <= body.keys() else reply(3)

    fake.reply = picky
    with Judge(fake.endpoint(), clock=VirtualClock()) as judge:
        (score,) = judge.score(cases(1), ["Fluency"]).scores
    assert score.reason == (None if left_out else "Refused")
    assert len(fake.bodies) == (2 if left_out else 1)
    assert fake.bodies[0].keys() - fake.bodies[-1].keys() == left_out
