from __future__ import annotations

import sys

import pytest

from raygen.errors import InputError, MissingExtraError
from raygen.moderation.filters.patterns import Patterns


@pytest.fixture
def patterns() -> type[Patterns]:
    pytest.importorskip("re2", reason="needs google-re2, of the extra moderation")
    return Patterns


def test_spans_are_in_characters_and_without_overlaps(patterns: type[Patterns]) -> None:
    text = "é😀 Ticket-12 ticket-345\ud800 x"
    found = patterns([r"(?i)ticket-\d+", r"-\d", "z*"], "prompts[0].patterns").find(text)
    assert [text[start:stop] for start, stop in found] == ["Ticket-12", "ticket-345"]


def test_letters_beyond_ascii_have_a_class_of_their_own(patterns: type[Patterns]) -> None:
    assert patterns([r"\w+"], "patterns").find("über") == [(1, 4)]
    assert patterns([r"\pL+"], "patterns").find("über") == [(0, 4)]


def test_a_pattern_that_would_go_back_takes_linear_time(patterns: type[Patterns]) -> None:
    # Python's own search of the first needs 2^n steps.
    assert patterns(["(a+)+$", "(x+x+)+y"], "patterns").find("a" * 50_000 + "!" + "x" * 50_000) == []


def test_a_wrong_pattern_is_told_with_its_place(patterns: type[Patterns]) -> None:
    with pytest.raises(InputError) as caught:
        patterns(["a", "(?=b)"], "outputs[2].patterns")
    assert caught.value.where == "outputs[2].patterns[1]"
    assert "without look-around" in caught.value.remedy
    with pytest.raises(InputError):
        patterns(["((a{100}){100}){100}"], "patterns")


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "re2", None)
    with pytest.raises(MissingExtraError, match="google-re2"):
        Patterns(["a"], "patterns")
