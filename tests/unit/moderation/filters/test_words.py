from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.moderation.filters.folding import light, plain
from raygen.moderation.filters.words import Words, merged
from tests.budget import examples

WORDS = Words(["zorkle", "quaff", "bad phrase", "Straße", "кошка"])


def found(text: str) -> list[str]:
    return [text[start:stop] for start, stop in WORDS.find(text)]


@pytest.mark.parametrize(
    ("text", "piece"),
    [
        ("a Zorkle!", "Zorkle"),
        ("ＺＯＲＫＬＥ", "ＺＯＲＫＬＥ"),
        ("𝔃𝓸𝓻𝓴𝓵𝓮 it", "𝔃𝓸𝓻𝓴𝓵𝓮"),
        ("zоrklе", "zоrklе"),  # Cyrillic o and e
        ("zοrκle", "zοrκle"),  # Greek o and k
        ("ᴢᴏʀᴋʟᴇ", "ᴢᴏʀᴋʟᴇ"),
        ("zór̷kle", "zór̷kle"),
        ("zor\u200bk\u00adle", "zor\u200bk\u00adle"),
        ("z0rkl3", "z0rkl3"),
        ("zork1e", "zork1e"),
        ("zork|e and more", "zork|e"),
        ("qu@ff", "qu@ff"),
        ("z o r k l e", "z o r k l e"),
        ("z.o.r.k.l.e.", "z.o.r.k.l.e"),
        ("z_o_r - k*l*e", "z_o_r - k*l*e"),
        ("z 0 r k l 3", "z 0 r k l 3"),
        ("zooorkleeee", "zooorkleeee"),
        ("quaffffff", "quaffffff"),
        ("bad\n  phrase", "bad\n  phrase"),
        ("BAD-PHRASE", "BAD-PHRASE"),
        ("b a d p h r a s e", "b a d p h r a s e"),
        ("STRASSE", "STRASSE"),
        ("strasse", "strasse"),
        ("КОШКА", "КОШКА"),
        ("__zorkle__", "zorkle"),
    ],
)
def test_what_reads_the_same_is_found_as_it_is_written(text: str, piece: str) -> None:
    assert found(text) == [piece]


@pytest.mark.parametrize(
    "text",
    [
        "zorklet",  # another word
        "azorkle",
        "quaf",
        "zoorkle",  # two letters may be another word
        "zor kle",  # split in two
        "zor.kle",
        "elkroz",  # backwards
        "ork-zay",  # pig Latin
        "zrkl",
        "zorc1e with c for k",
        "2orkle",  # a digit of which the table has no letter
        "z\no\nr\nk\nl\ne",  # over lines
    ],
)
def test_what_is_not_found(text: str) -> None:
    assert found(text) == []


def test_numbers_and_prices_are_not_leetspeak() -> None:
    assert Words(["so", "boss", "as"]).find("50 and 8055 and $5, 45 %") == []


def test_a_text_in_which_every_character_could_begin_a_word_takes_no_long_search() -> None:
    words = Words(["lil" * 30, "aaaaaaaaaa b", "l l l l"])
    # A search that went back would not end.
    assert words.find("1l|!i" * 4000 + "x") == []
    assert words.find("a" * 20_000) == []


PARTS = st.lists(
    st.sampled_from(["zorkle", "z0rkle", "q u a f f", "zо\u200brkle", "é", "\u0301", "ß", "ﬁ", " ", "\n", "[", "1", "!", "a"])
    | st.text(max_size=5)
).map("".join)  # fmt: skip


@given(PARTS)
@examples(200)
def test_spans_are_in_order_and_what_is_in_them_alone_is_found_again(text: str) -> None:
    spans = WORDS.find(text)
    assert spans == merged(spans)
    for start, stop in spans:
        assert 0 <= start < stop <= len(text)
        assert WORDS.find(text[start:stop])


@given(st.text() | PARTS)
@examples(200)
def test_each_character_of_a_folded_text_stands_for_some_of_the_original(text: str) -> None:
    for folded in (light(text), plain(text)):
        assert len(folded.places) == len(folded.text)
        assert all(0 <= start < stop <= len(text) for start, stop in folded.places)
        assert list(folded.places) == sorted(folded.places)
        if folded.text:
            start, stop = folded.original(0, len(folded.text))
            fold = light if folded == light(text) else plain
            assert fold(text[start:stop]).text == folded.text


@given(st.text(alphabet=string.ascii_letters + " .!"))
@examples(50)
def test_plain_english_folds_to_lower_case(text: str) -> None:
    assert plain(text).text == text.lower()
