from __future__ import annotations

import unicodedata
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.report.wording import MAX_TEXT, duration, inert, label, moment, size

ANYTHING = st.text(st.characters(codec=None, exclude_categories=()), max_size=300)


@given(ANYTHING)
def test_nothing_in_a_text_steers_a_display(text: str) -> None:
    shown = inert(text)
    shown.encode("utf-8")
    for character in set(shown) - {"\n", "\t"}:
        assert unicodedata.category(character) not in ("Cc", "Cs")
        assert unicodedata.bidirectional(character) not in (
            "LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI",
        )  # fmt: skip


def test_ordinary_text_stays() -> None:
    text = "Zoë naïve — 你好 👩‍👩‍👧\n\tfin"
    assert inert(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\0b", "a␀b"),
        ("\x1b[31m", "␛[31m"),
        ("a\u202eb", "a⟨U+202E⟩b"),
        ("\ud800", "\ufffd"),
        ("a\r\nb\rc", "a\nb␍c"),
    ],
)
def test_control_characters_become_visible(text: str, shown: str) -> None:
    assert inert(text) == shown


def test_a_long_text_is_cut_and_says_so() -> None:
    shown = inert("x" * 1_000_000)
    assert len(shown) < MAX_TEXT + 50
    assert shown.endswith("… (996,000 more characters)")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.63124, "1.631"),
        (0, "0"),
        (-0.0, "0"),
        (19012.4, "19,012"),
        (804096, "804,096"),
        (3e-5, "3e-05"),
        (1e300, "1e+300"),
        (float("nan"), "nan"),
    ],
)
def test_numbers_have_the_digits_that_count(value: float, text: str) -> None:
    assert label(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0 s"),
        (42, "42 s"),
        (143, "2 min 23 s"),
        (3600, "1 h"),
        (18_420, "5 h 7 min"),
        (190_000, "2 d 4 h"),
    ],
)
def test_durations_have_two_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_times_are_in_utc() -> None:
    east = timezone(timedelta(hours=2))
    assert moment(datetime(2026, 11, 24, 3, 0, tzinfo=east)) == "2026-11-24 01:00:00 UTC"
    assert moment(datetime(2026, 11, 24, 3, 0)) == "2026-11-24 03:00:00 UTC"  # noqa: DTZ001


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (2**60, "1024.0 PiB")]
)
def test_sizes_have_binary_units(count: int, text: str) -> None:
    assert size(count) == text
