from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.errors import JobFileError
from raygen.jobfile.json_text import compose_json
from raygen.jobfile.tree import read
from tests.budget import examples

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def values(text: str) -> Any:
    document, _, found = read(compose_json(text, "f"), "f")
    assert found == []
    return document


@examples(200)
@given(JSON, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_it_reads_what_the_json_module_writes(document: Any, indent: Any, ascii_only: bool) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=ascii_only)
    if "<<" not in text:
        assert values(text) == document


@examples(300)
@given(st.text(alphabet='{}[]:,"\\u12e-+.0truefalsn \n', max_size=20))
def test_it_takes_no_more_and_no_less_than_the_json_module(text: str) -> None:
    assert _accepted(text, values) == _accepted(text, json.loads)


def _accepted(text: str, reader: Any) -> Any:
    try:
        return repr(reader(text))
    except (JobFileError, ValueError):
        return None
    except AssertionError:
        return repr(json.loads(text))  # a key twice: a fault here, the last one there


def test_lines() -> None:
    _, lines, _ = read(compose_json('{\n "a": [\n 1,\n {"b":\n 2}]\n}', "f"), "f")
    assert lines == {(): 1, ("a",): 2, ("a", 0): 3, ("a", 1): 4, ("a", 1, "b"): 4}


def test_a_key_twice_is_a_fault() -> None:
    _, _, found = read(compose_json('{"a": 1,\n"a": 2}', "f"), "f")
    assert [(fault.path, fault.line) for _, fault in found] == [("a", 2)]


def test_numbers_beyond_all_bounds() -> None:
    assert values("[" + "9" * 500 + ", -" + "9" * 5000 + "]") == [math.inf, -math.inf]


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("", None, "is empty"),
        (" \n", None, "is empty"),
        ("{", 1, "key without double quotes"),
        ("{'a': 1}", 1, "key without double quotes"),
        ('{"a": 1,}', 1, "comma too many"),
        ('{"a" 1}', 1, "without its colon"),
        ('{"a": }', 1, "no value"),
        ("[1\n2]", 2, "missing comma or bracket"),
        ("[NaN]", 1, "no value"),
        ("[\n01]", 2, "missing comma"),
        ('["\\x"]', 1, "wrong escape"),
        ("{}\n{}", 2, "after the end"),
        ("[" * 500_000, 1, "nested more than 100"),
        ("[" + "1," * 200_000 + "1]", 1, "more than 100000 values"),
    ],
)
def test_what_is_no_json(text: str, line: int | None, problem: str) -> None:
    with pytest.raises(JobFileError, match=problem) as caught:
        read(compose_json(text, "f"), "f")
    assert caught.value.where == ("f" if line is None else f"f:{line}")
    assert caught.value.remedy
