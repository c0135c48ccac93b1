from __future__ import annotations

import math
import time
from typing import Any

import pytest
import yaml

from raygen.errors import JobFileError
from raygen.jobfile import yaml_text
from raygen.jobfile.tree import read
from raygen.jobfile.yaml_text import compose_yaml


@pytest.fixture(params=["c", "python"], autouse=True)
def _parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both parsers of PyYAML: the fast one is not there everywhere."""
    if request.param == "python":
        monkeypatch.setattr(yaml_text, "_PARSER", yaml.SafeLoader)
    elif not yaml.__with_libyaml__:
        pytest.skip("PyYAML has no libyaml here")


def values(text: str) -> Any:
    document, _, found = read(compose_yaml(text, "f"), "f")
    assert found == []
    return document


def faults(text: str) -> list[tuple[str, str, int | None]]:
    _, _, found = read(compose_yaml(text, "f"), "f")
    return [(fault.path, fault.rule, fault.line) for _, fault in found]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001), ("1E3", 1000.0), ("+1.5", 1.5), (".5", 0.5), ("5.", 5.0), ("-0", 0), ("017", 17),
        ("0o17", 15), ("0x1F", 31), ("+12", 12), (".inf", math.inf), ("-.INF", -math.inf), ("9" * 500, math.inf),
        ("yes", "yes"), ("no", "no"), ("on", "on"), ("off", "off"), ("y", "y"), ("true", True), ("FALSE", False),
        ("null", None), ("~", None), ("", None), ("Null", None), ("2026-11-24", "2026-11-24"), ("1:30", "1:30"),
        ("1_000", "1_000"), ("0b1", "0b1"), ("0O17", "0O17"), ("=", "="), ("'1'", "1"), ('"true"', "true"),
        ("!!str 5", "5"), ("!!int '5'", 5), ("!!float 5", 5.0), ("! 5", "5"), ("|\n  5\n", "5\n"),
        ('"\\u00e9"', "é"), ("tRue", "tRue"), ("infinity", "infinity"), ("nan", "nan"), ("1e", "1e"),
    ],
)  # fmt: skip
def test_plain_words_mean_what_yaml_1_2_says(text: str, value: Any) -> None:
    found = values(f"a: {text}")["a"]
    assert found == value
    assert type(found) is type(value)


def test_nan() -> None:
    assert math.isnan(values("a: .NaN")["a"])


def test_lists_maps_and_aliases() -> None:
    assert values("a: &x {b: [1, two]}\nc: *x\nd: [*x]") == {
        "a": {"b": [1, "two"]},
        "c": {"b": [1, "two"]},
        "d": [{"b": [1, "two"]}],
    }


def test_lines_are_those_of_keys_and_items() -> None:
    _, lines, _ = read(compose_yaml("a:\n  b:\n    - 1\n    - {c: 2}\n", "f"), "f")
    assert lines == {
        (): 1,
        ("a",): 1,
        ("a", "b"): 2,
        ("a", "b", 0): 3,
        ("a", "b", 1): 4,
        ("a", "b", 1, "c"): 4,
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3", ("a", "is there twice, first on line 1", 3)),
        ("x:\n  a: 1\n  'a': 3", ("x.a", "is there twice, first on line 2", 3)),
        ("b: &b {x: 1}\na:\n  <<: *b", ('a["<<"]', "is a merge key, which YAML 1.2 does not have", 3)),
        ("1: x", ('["1"]', "is under a key that is not text", 1)),
        ("null: x", ("null", "is under a key that is not text", 1)),
        ("~: x", ("null", "is under a key that is not text", 1)),
        ("? [a]\n: x", ('["?"]', "is under a key that is a list or a map", 1)),
        ("a: !!timestamp 2026-11-24", ("a", "has the tag tag:yaml.org,2002:timestamp", 1)),
        (
            "a: !!python/object/apply:os.system [x]",
            ("a", "has the tag tag:yaml.org,2002:python/object/apply", 1),
        ),
        ("a: !!int x", ("a", "has the tag tag:yaml.org,2002:int", 1)),
        ("a: !mine {b: 1}", ("a", "has the tag !mine", 1)),
    ],
)
def test_what_the_format_does_not_have_is_a_fault_with_its_line(
    text: str, expected: tuple[str, str, int]
) -> None:
    ((path, rule, line),) = faults(text)
    assert (path, line) == (expected[0], expected[2])
    assert rule.startswith(expected[1])


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("a:\n\tb: 1", 2, "cannot start a value"),
        ("a: b: c", 1, "colon where no key can be"),
        ("a: [1, 2", 1, "not closed"),
        ("a: 'x", 1, "not closed"),
        ('a: "\\q"', 1, "unknown escape"),
        ("a: 1\n b: 2", 2, "colon where no key|does not fit"),
        ("a: 1\n---\nb: 2", 2, "more than one document"),
        ("a: *x", 1, "has no anchor"),
        ("a: &x [*x]", 1, "stands inside what it repeats"),
        ("a: 1\nb: &x {c: {d: *x}}", 2, "stands inside what it repeats"),
        ("[" * 101 + "]" * 101, 1, "nested more than 100 levels"),
        ("[" * 200_000, 1, "nested more than 100 levels"),
        ("- " * 200_000, 1, "nested more than 100 levels"),
        ("a: !x!y 1", 1, "unknown tag"),
        ("%YAML 1.2\n%YAML 1.2\n---\na: 1", 2, "duplicate"),
        ("@", 1, "cannot start a value"),
        ("%YAML 1." + "9" * 5000 + "\n---\na: 1", None, "is not YAML"),
        ('a: "\\UFFFFFFFF"', None, "is not YAML"),
    ],
)
def test_what_is_no_yaml(text: str, line: int | None, problem: str) -> None:
    with pytest.raises(JobFileError, match=problem) as caught:
        read(compose_yaml(text, "f"), "f")
    if line is not None:
        assert caught.value.where.startswith(f"f:{line}") or text.startswith("a: 'x") or "[1, 2" in text
    assert caught.value.remedy
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(f"{c}: &{c} [{', '.join([f'*{p}'] * 10)}]\n" for p, c in zip("abcdefg", "bcdefgh", strict=True)),
        "[" + "1, " * 150_000 + "1]",
        "a: &a " + "[" * 90 + "]" * 90 + "\nb: &b " + "[" * 50 + "*a" + "]" * 50,
    ],
    ids=["bomb", "list", "depth"],
)  # fmt: skip
def test_size_is_bounded_by_what_aliases_repeat(text: str) -> None:
    began = time.process_time()
    with pytest.raises(JobFileError, match="more than 100"):
        read(compose_yaml(text, "f"), "f")
    assert time.process_time() - began < 20
