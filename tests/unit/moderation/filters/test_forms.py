from __future__ import annotations

import pytest

from raygen.moderation.filters.forms import entropy, find_kind, find_random
from raygen.spec.data.cleaning import PersonalData


@pytest.mark.parametrize(
    ("kind", "piece"),
    [
        ("Email", "jane@example.org"),
        ("Email", "ｊａｎｅ＠ｅｘａｍｐｌｅ．ｏｒｇ"),
        ("Email", "ja\u200bne@exam\u200dple.org"),
        ("Phone", "+４９ 30 1234567"),
        ("CreditCard", "4111\u20601111\u206011111111"),
        ("IBAN", "GB82WEST12345698765432"),
        ("IPAddress", "8.8.8.8"),
        ("Secret", "AKIAIOSFODNN7EX\u200bAMPLE"),
        ("Secret", "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----"),
    ],
)
def test_forms_are_found_also_in_characters_that_read_the_same(kind: PersonalData, piece: str) -> None:
    text = f"é so {piece}, and"
    assert [text[start:stop] for start, stop in find_kind(text, kind)] == [piece]


@pytest.mark.parametrize(
    ("kind", "piece"),
    [
        ("Email", "jane (at) example (dot) org"),
        ("CreditCard", "4111111111111112"),
        ("IBAN", "GB82WEST12345698765433"),
        ("IPAddress", "192.168.0.1"),
        ("Phone", "five five five, one two"),
    ],
)
def test_what_lacks_the_form_or_the_check_digits_is_not_found(kind: PersonalData, piece: str) -> None:
    assert find_kind(piece, kind) == []


def test_what_looks_as_random_as_a_key_is_found() -> None:
    key, digest = "q8Zt3LrX0vKp5NdW2yHc", "d41d8cd98f00b204e9800998ecf8427e"
    text = f"{key} {digest}, a_long_name_of_a_function and HTTPServerFactoryBuilder2026 or 1111111111111111111111111111111a"
    assert [text[start:stop] for start, stop in find_random(text)] == [key, digest]


def test_entropy() -> None:
    assert entropy("") == 0
    assert entropy("aaaa") == 0
    assert entropy("abcd") == 2
