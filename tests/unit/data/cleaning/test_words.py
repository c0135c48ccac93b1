from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.data.cleaning.words import shingles, words_of
from tests.budget import examples

ALPHABET = st.sampled_from(
    [*"abcXYZ019 .,!\n", "é", "ß", "İ", "中", "文", "か", "ก", "न", "ि", "\U0001f600", "\u0301"]
)
TEXTS = st.lists(st.text(ALPHABET, max_size=40), max_size=6)


def plain_words(text: str) -> list[str]:
    """The same by a loop over characters."""
    found, current = [], ""
    for character in unicodedata.normalize("NFC", text):
        inside = unicodedata.category(character)[0] in "LMN"
        lower = character.lower() if len(character.lower()) == 1 else character
        single = inside and any(
            low <= character <= high
            for low, high in (("\u0e00", "\u0eff"), ("\u3040", "\u30ff"), ("\u4e00", "\u9fff"))
        )
        if current and (not inside or single):
            found.append(current)
            current = ""
        if single:
            found.append(lower)
        elif inside:
            current += lower
    return [*found, current] if current else found


@examples(150)
@given(TEXTS)
def test_words_are_runs_of_letters_and_digits_in_lower_case(texts: list[str]) -> None:
    expected = [plain_words(text) for text in texts]
    found = words_of(texts)
    assert found.counts.tolist() == [len(words) for words in expected]
    assert found.lengths.tolist() == [len(word) for words in expected for word in words]
    names = [word for words in expected for word in words]
    by_name = dict(zip(names, found.hashes.tolist(), strict=True))
    assert [by_name[name] for name in names] == found.hashes.tolist()
    assert len(set(by_name.values())) == len(by_name)


@examples(100)
@given(TEXTS, st.integers(1, 4))
def test_shingles_of_a_text_do_not_depend_on_what_is_beside_it(texts: list[str], size: int) -> None:
    hashes, offsets = shingles(words_of(texts), size)
    for number, text in enumerate(texts):
        alone, _ = shingles(words_of([text]), size)
        assert hashes[offsets[number] : offsets[number + 1]].tolist() == alone.tolist()
        count = len(plain_words(text))
        assert len(alone) == (count - size + 1 if count >= size else min(count, 1))


@pytest.mark.parametrize("blank", [" ", "\n", ""])
def test_a_text_longer_than_what_is_looked_at_together(blank: str) -> None:
    words = ["word", "中", "x" * 70_000] + [f"w{number}" for number in range(40_000)]
    text = f"{blank or '中'}".join(words)
    found = words_of([text])
    assert found.lengths.sum() == sum(map(str.isalnum, text))
    if blank:
        assert found.hashes[-1] == words_of(["W39999"]).hashes[0]
        assert len(found.hashes) in (len(words), len(words) + 1)


def test_nothing_has_no_words() -> None:
    for texts in ([], [""], ["", "..."]):
        found = words_of(texts)
        assert len(found.hashes) == 0
        assert found.counts.tolist() == [0] * len(texts)
        hashes, offsets = shingles(found, 5)
        assert (len(hashes), offsets.tolist()) == (0, [0] * (len(texts) + 1))


def test_both_forms_of_accents_are_the_same_word() -> None:
    one, other = (words_of([unicodedata.normalize(form, "Café Ångström")]).hashes for form in ("NFC", "NFD"))
    assert np.array_equal(one, other)
