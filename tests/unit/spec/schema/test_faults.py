from __future__ import annotations

from typing import Any

import pytest

from raygen.errors import without_secrets
from raygen.spec import Fault
from raygen.spec.schema.faults import Location, is_secret, shown, spelled


def test_a_fault_reads_as_a_sentence() -> None:
    fault = Fault("spec.a", "130", "must be a multiple of heads (4)", "Choose another.")
    assert str(fault) == "  spec.a: 130 must be a multiple of heads (4). Choose another."
    assert str(fault.at(7)) == "  line 7: spec.a: 130 must be a multiple of heads (4). Choose another."
    assert str(Fault("spec.b", "", "is missing", "Add b.")) == "  spec.b: is missing. Add b."


def test_a_line_is_kept_once_it_is_known() -> None:
    assert Fault("a", "", "is", "Do.", 3).at(9).line == 3


def test_json_form() -> None:
    fault = Fault("a", "1", "must be 2", "Write 2.", 3)
    assert fault.to_json() == {
        "path": "a",
        "value": "1",
        "rule": "must be 2",
        "remedy": "Write 2.",
        "line": 3,
    }


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ((), "document"),
        (("spec", "data", "sources", 0, "uri"), "spec.data.sources[0].uri"),
        (("labels", "a.b/c"), 'labels["a.b/c"]'),
        (("a b",), '["a b"]'),
        (("", "x"), '[""].x'),
    ],
)
def test_paths_are_spelled_as_people_write_them(location: Location, path: str) -> None:
    assert spelled(location) == path


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (3, "3"),
        (-(10**4000), "a number of very many digits"),
        (0.001, "0.001"),
        (float("nan"), "nan"),
        ("a", '"a"'),
        ('say "x"', '"say \\"x\\""'),
        ("é\x1b[31m\n\u202e\ud800", '"é\\x1b[31m\\n\\u202e\\ud800"'),
        ("s3://me:pw@host/x", '"s3://...@host/x"'),
        ("s3://b/x?X-Amz-Signature=abcdef", '"s3://b/x?..."'),
        ([], "[]"),
        ([1], "[1 item]"),
        ([1, 2], "[2 items]"),
        ({}, "{}"),
        ({"a": 1, "b": 2}, "{a, b}"),
        (dict.fromkeys("abcdefg"), "{a, b, c, d, e, ...}"),
        (b"x", "a bytes"),
    ],
)
def test_values_are_shown_short_and_printable(value: Any, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize(
    ("uri", "text"),
    [
        ("https://me:pw@host/x", "https://...@host/x"),
        ("s3://ID:se/cr@et@bucket/x", "s3://...@bucket/x"),
        ("s3://ID@bucket/x", "s3://...@bucket/x"),
        ("s3://bucket/a b/x?sig=a b", "s3://bucket/a b/x?..."),
        ("https://me:p?w@host/x#token", "https://...@host/x#..."),
        # As `Path` spells it.
        ("s3:/ID:secret@bucket/x?sig=a", "s3:/...@bucket/x?..."),
        ("s3://bucket/x@2/*.txt", "s3://bucket/x@2/*.txt"),
        ("http://host:80/x@2", "http://host:80/x@2"),
        ("hf://owner/name", "hf://owner/name"),
        ("a?b@c#d", "a?b@c#d"),
    ],
)
def test_what_may_be_secret_in_a_uri_is_hidden(uri: str, text: str) -> None:
    assert without_secrets(uri) == text


def test_long_values_are_cut() -> None:
    assert len(shown("x" * 10**6)) < 70
    assert len(shown({"k" * 10**6: 1})) < 70
    assert len(spelled(("k" * 10**6,))) < 70


@pytest.mark.parametrize(
    "key", ["password", "apiKey", "api_key", "AWS_SECRET_ACCESS_KEY", "authToken", "HF-Token"]
)
def test_keys_that_look_secret(key: str) -> None:
    assert is_secret(("spec", key))
    assert shown("hunter2", ("spec", key)) == "(hidden)"
    assert shown("hunter2", (key, "value")) == "(hidden)"


@pytest.mark.parametrize("key", ["tokens", "maxTokens", "tokenizer", "monkey", "author"])
def test_keys_that_do_not(key: str) -> None:
    assert shown("x", ("spec", key)) == '"x"'
