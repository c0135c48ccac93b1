from __future__ import annotations

import hashlib
import itertools
import json
import subprocess
import sys

import numpy as np
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from raygen.data.text.tokenizers import BYTE_ALPHABET, END_OF_TEXT, Tokenizer, parts_of, train_tokenizer
from raygen.errors import DataError
from raygen.spec import Tokenizer as Spec
from tests.budget import examples

VERSE = "ROMEO: But, soft! what light through yonder window breaks?\nIt is the east. Größe, 東, 🙂\n"
DOCUMENTS = [VERSE * 20, "the the the theatre", "\t\r\n  x"]

CHARACTER = train_tokenizer(Spec(type="Character"), DOCUMENTS)
BYTE = train_tokenizer(Spec(type="Byte"), DOCUMENTS)
BPE = train_tokenizer(Spec(type="BPE", vocabulary_size=300), DOCUMENTS)
UNMERGED = train_tokenizer(Spec(type="BPE", vocabulary_size=257), DOCUMENTS)
ALL = {"Character": CHARACTER, "Byte": BYTE, "BPE": BPE, "BPE without a merge": UNMERGED}
ANY_TEXT = [BYTE, BPE, UNMERGED]

# Ends of text spelled out are text, too.
texts = st.lists(st.text() | st.sampled_from([END_OF_TEXT, VERSE, "\r\n", " ", "the"])).map("".join)
known_texts = st.text(st.sampled_from(sorted(set("".join(DOCUMENTS)))))


def by_name(tokenizer: Tokenizer) -> str:
    return next(name for name, known in ALL.items() if known is tokenizer)


def library_ids(tokenizer: Tokenizer, text: str) -> list[int]:
    """What the `tokenizers` library makes of the text, from the file that a run keeps."""
    library = tokenizers.Tokenizer.from_str(tokenizer.to_json())
    library.encode_special_tokens = True
    return list(library.encode(text, add_special_tokens=False).ids)


@pytest.mark.parametrize("tokenizer", ANY_TEXT, ids=by_name)
@examples(100)
@given(text=texts)
def test_bytes_and_bpe_give_any_text_back(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


@examples(100)
@given(text=known_texts)
def test_characters_give_a_text_of_their_alphabet_back(text: str) -> None:
    tokens = CHARACTER.encode(text)

    assert len(tokens) == len(text)
    assert CHARACTER.decode(tokens) == text


@pytest.mark.parametrize("tokenizer", ANY_TEXT, ids=by_name)
@examples(60)
@given(text=texts)
def test_bytes_and_bpe_encode_as_the_library_does(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.encode(text).tolist() == library_ids(tokenizer, text)


@examples(60)
@given(text=known_texts)
def test_characters_encode_as_the_library_does(text: str) -> None:
    assert CHARACTER.encode(text).tolist() == library_ids(CHARACTER, text)


@pytest.mark.parametrize("tokenizer", ANY_TEXT, ids=by_name)
@examples(60)
@given(text=texts)
def test_token_bytes_add_up_to_the_bytes_of_the_text(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.token_bytes[tokenizer.encode(text)].sum() == len(text.encode())


@examples(60)
@given(text=known_texts)
def test_a_characters_bytes_are_those_of_utf8(text: str) -> None:
    assert CHARACTER.token_bytes[CHARACTER.encode(text)].sum() == len(text.encode())


@pytest.mark.parametrize("tokenizer", ALL.values(), ids=by_name)
def test_saving_and_reading_changes_nothing(tokenizer: Tokenizer) -> None:
    again = Tokenizer.from_json(tokenizer.to_json())

    assert again.to_json() == tokenizer.to_json()
    assert (again.size, again.end_of_text) == (tokenizer.size, tokenizer.end_of_text)
    assert np.array_equal(again.token_bytes, tokenizer.token_bytes)
    assert np.array_equal(again.encode(VERSE), tokenizer.encode(VERSE))


@pytest.mark.parametrize("tokenizer", ALL.values(), ids=by_name)
def test_the_end_of_text_is_no_text_and_is_shown(tokenizer: Tokenizer) -> None:
    assert tokenizer.end_of_text is not None
    assert tokenizer.token_bytes[tokenizer.end_of_text] == 0
    assert tokenizer.decode([tokenizer.end_of_text]) == "<|endoftext|>"
    assert tokenizer.end_of_text not in tokenizer.encode(VERSE)


def test_one_document_needs_no_end_of_text() -> None:
    tokenizer = train_tokenizer(Spec(type="Character"), ["banana"])

    assert tokenizer.end_of_text is None
    assert tokenizer.size == 3
    assert tokenizer.encode("ban").tolist() == [1, 0, 2], "characters are in the order of their code points"


def test_sizes() -> None:
    assert CHARACTER.size == len(set("".join(DOCUMENTS))) + 1
    assert BYTE.size == UNMERGED.size == 257
    assert BPE.size == 300


def test_bpe_needs_fewer_tokens_than_bytes() -> None:
    assert len(BPE.encode(VERSE)) < 0.7 * len(BYTE.encode(VERSE))


@pytest.mark.parametrize(
    ("text", "place", "shown"),
    [
        ("light?%", 6, "'%' (U+0025"),
        ("Ā", 0, "U+0100"),
        ("ok\N{GRINNING FACE}", 2, "U+1F600"),
        ("a\ud800", 1, "U+D800"),
        ("🙂\U0010ffff", 1, "U+10FFFF"),
    ],
)
def test_an_unknown_character_is_named_with_its_place(text: str, place: int, shown: str) -> None:
    with pytest.raises(DataError, match=f"at position {place}\\)") as caught:
        CHARACTER.encode(text)

    assert shown in caught.value.what
    assert f"holds the {len(set(''.join(DOCUMENTS)))} characters" in caught.value.what
    assert "Byte or BPE" in caught.value.remedy


@pytest.mark.parametrize("tokenizer", ANY_TEXT, ids=by_name)
def test_half_a_surrogate_pair_is_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(DataError, match=r"U\+DC80, at position 2") as caught:
        tokenizer.encode("ab\udc80")

    assert caught.value.remedy


@pytest.mark.parametrize("tokenizer", ANY_TEXT, ids=by_name)
def test_bytes_that_are_no_text_become_replacement_characters(tokenizer: Tokenizer) -> None:
    tokens = tokenizer.encode("東")

    assert tokenizer.decode(tokens[:-1]) == "\N{REPLACEMENT CHARACTER}"


def word_level(vocabulary: dict[str, int]) -> str:
    return json.dumps(
        {"version": "1.0", "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "?"}}
    )


@pytest.mark.parametrize(
    "content",
    [
        "",
        "null",
        "[]",
        "{}",
        "{" * 100_000,
        BPE.to_json()[:-100],
        json.dumps({"version": "1.0", "model": {"type": "Unigram", "vocab": [["a", 0.0]], "unk_id": 0}}),
        json.dumps({"version": "1.0", "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}),
        word_level({"two": 0}),
        word_level({"a": 7}),
    ],
)
def test_a_file_that_is_no_tokenizer_of_ours_is_refused(content: str) -> None:
    with pytest.raises(DataError, match="cannot be read") as caught:
        Tokenizer.from_json(content)

    assert caught.value.where == "tokenizer.json"
    assert "Restore" in caught.value.remedy


TRAIN = """
import hashlib, sys
from raygen.data.text.tokenizers import train_tokenizer
from raygen.spec import Tokenizer
documents = sys.stdin.buffer.read().decode().split("\\0")
json = train_tokenizer(Tokenizer(type="BPE", vocabulary_size=300), documents).to_json()
print(hashlib.sha256(json.encode()).hexdigest())
"""


def test_bpe_is_learned_alike_in_every_process() -> None:
    expected = hashlib.sha256(BPE.to_json().encode()).hexdigest()
    again = train_tokenizer(Spec(type="BPE", vocabulary_size=300), DOCUMENTS)

    other = subprocess.run(
        [sys.executable, "-c", TRAIN], input="\0".join(DOCUMENTS).encode(), capture_output=True, check=True
    )

    assert hashlib.sha256(again.to_json().encode()).hexdigest() == expected
    assert other.stdout.decode().strip() == expected


def test_the_byte_alphabet_is_that_of_the_library() -> None:
    assert sorted(BYTE_ALPHABET) == sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())


PARTS = [
    *"aZ9é東かю한\u1c8a",
    *" \t\n\r\u3000\x1c\u2028\u180e",
    *"'.,-_/+=<{\"",
    *"。、！（",
    "'s",
    "'ll",
    "\u0301",
    "²",
    "🙂",
]
CONTENT = st.lists(st.sampled_from(PARTS), max_size=40).map("".join)


@pytest.mark.parametrize("tokenizer", [BPE, UNMERGED], ids=by_name)
@examples(300)
@given(text=texts | CONTENT, size=st.integers(1, 20))
def test_a_text_that_is_encoded_in_pieces_has_the_same_tokens(
    tokenizer: Tokenizer, text: str, size: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("raygen.data.text.tokenizers.PIECE", size)
        assert tokenizer.encode(text).tolist() == library_ids(tokenizer, text)


@pytest.mark.parametrize(
    "text",
    [
        "".join(itertools.chain.from_iterable(itertools.product(PARTS, repeat=3))),
        "".join(f"{chr(point)},a{chr(point)} 1{chr(point)}" for point in range(0xD800)),
        "".join(f"{chr(point)},a{chr(point)} 1{chr(point)}" for point in range(0xE000, 0x11000)),
    ],
    ids=["parts", "below surrogates", "above"],
)
def test_texts_are_cut_where_words_of_the_library_begin(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    library = tokenizers.Tokenizer.from_str(BPE.to_json()).pre_tokenizer
    begins = {begin for _, (begin, _) in library.pre_tokenize_str(text)} | {len(text)}
    monkeypatch.setattr("raygen.data.text.tokenizers.PIECE", 1)

    cuts = set(itertools.accumulate(map(len, parts_of(text))))

    assert len(cuts) > len(text) / 30
    assert cuts <= begins


@pytest.mark.parametrize(
    "part",
    [
        "base64+/AbC3dEf=",
        "word\n",
        "word\t",
        "天地玄黄，",
        "天地玄黄。\n",
        "a,b;c.",
        '{"key":12}',
        "0123abcd",
    ],
)
def test_a_long_text_without_spaces_is_encoded_in_pieces(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raygen.data.text.tokenizers.PIECE", 100)

    assert max(map(len, parts_of(part * 100))) <= 100 + len(part)
