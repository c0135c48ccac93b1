"""Text to tokens and back: characters, bytes, byte-pair encoding, words of music.

All are saved in the file format of the `tokenizers` library, so that an exported model brings its
tokenizer along. Characters and bytes are encoded by table look-up here, which gives the same tokens faster.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tokenizers
from numpy.typing import NDArray
from tokenizers import Regex, decoders, models, pre_tokenizers

from raygen.data.music.remi import separated, words
from raygen.data.progress import Progress
from raygen.data.text.learning import END_OF_TEXT, byte_level, learn
from raygen.errors import DataError
from raygen.spec.data.tokenizers import ResolvedTokenizer

Tokens = NDArray[np.int32]

PIECE = 1 << 20
"""Characters of a text that are encoded at a time: the library needs some hundred bytes for each token, and hears no
signal meanwhile."""
_LETTERS = r"A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u00ff\u0400-\u044f\u3041-\u3094\u30a1-\u30fa\u4e00-\u9fa5\uac00-\ud7a3"
_SIGNS = (
    r"!\"#$%&()*+,\-./:;<=>?@\[\\\]^_`{|}~\u3001\u3002\u300a-\u300f\uff01\uff08\uff09\uff0c\uff1a\uff1b\uff1f"
)
_BLANKS = r" \t\n\r\u3000"
_BOUNDARY = re.compile(
    rf"(?<=[^\W_])[{_BLANKS}]|(?<=[{_SIGNS}])[{_BLANKS}]|(?<=[0-9{_LETTERS}])['{_SIGNS}]"
    rf"|(?<=[{_LETTERS}])[0-9]|(?<=[0-9])[{_LETTERS}]"
)
"""A place where a word ends whatever comes next, as byte-level tokenizers part letters, digits, signs and blanks.

No word goes on behind a letter, digit or sign with a blank, behind a letter or digit with a sign, or behind a letter with a
digit or the other way round. Of letters and signs only those are here that every version of Unicode has as such, since Python's is
not the library's; a contraction ('s) begins with a sign, so that no sign is parted from a letter behind it.
"""


def _byte_alphabet() -> list[str]:
    """The printable character that byte-level tokenizers use for each byte (GPT-2's bytes_to_unicode)."""
    printable = [
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    ]
    others = [b for b in range(256) if b not in printable]
    table = {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(others)}
    return [table[b] for b in range(256)]


BYTE_ALPHABET = _byte_alphabet()
BYTE_OF = {character: bytes([byte]) for byte, character in enumerate(BYTE_ALPHABET)}


class Tokenizer:
    """A trained tokenizer.

    Attributes:
        size: Tokens in the vocabulary.
        end_of_text: Token between documents, or None where there is only one document.
        token_bytes: (size,) bytes of UTF-8 that each token stands for; 0 for the end of text.
    """

    def __init__(self, inner: tokenizers.Tokenizer) -> None:
        # A document that spells out the end of text holds so many characters, and does not end there.
        inner.encode_special_tokens = True
        self._inner = inner
        self.size: int = inner.get_vocab_size()
        self.end_of_text: int | None = inner.token_to_id(END_OF_TEXT)
        self._kind = _kind(inner)
        texts = [text for i in range(self.size) if (text := inner.id_to_token(i)) is not None]
        if len(texts) < self.size:
            raise ValueError("its tokens are not numbered from 0 on without gaps")
        if self.end_of_text is not None:
            texts[self.end_of_text] = ""
        if self._kind == "Character":
            self._pieces = [text.encode() for text in texts]
            self._table = _character_table(texts)
        elif self._kind == "REMI":
            self._pieces = [separated(text).encode() if text else b"" for text in texts]
            self._words = {text: token for token, text in enumerate(texts) if text}
        else:
            self._pieces = [b"".join(BYTE_OF[character] for character in text) for text in texts]
            self._table = np.asarray([inner.token_to_id(c) for c in BYTE_ALPHABET], dtype=np.int32)
        self.token_bytes = np.asarray([len(piece) for piece in self._pieces], dtype=np.int64)

    def encode(self, text: str) -> Tokens:
        """The tokens of a text, shape (tokens,).

        Raises:
            DataError: a character is not in the vocabulary, or not in UTF-8; names it and its place.
        """
        if self._kind == "Character":
            return self._encode_characters(text)
        if self._kind == "REMI":
            return self._encode_words(text)
        content = to_utf8(text)
        if self._kind == "Byte":
            return self._table[np.frombuffer(content, dtype=np.uint8)]
        pieces = [self._inner.encode(piece, add_special_tokens=False).ids for piece in parts_of(text)]
        return np.concatenate([np.asarray(ids, dtype=np.int32) for ids in pieces])

    def decode(self, tokens: Sequence[int] | Tokens) -> str:
        """The text of these tokens; bytes that are not UTF-8 become U+FFFD, the end of a text `<|endoftext|>`."""
        end = END_OF_TEXT.encode()
        pieces = (end if token == self.end_of_text else self._pieces[token] for token in tokens)
        return b"".join(pieces).decode("utf-8", "replace")

    def to_json(self) -> str:
        """The tokenizer in the `tokenizers` library's file format."""
        return str(self._inner.to_str(pretty=True))

    @classmethod
    def from_json(cls, text: str) -> Tokenizer:
        """Reads what `to_json` gave."""
        try:
            return cls(tokenizers.Tokenizer.from_str(text))
        except Exception as error:  # the library raises no narrower class
            raise DataError(
                f"the saved tokenizer cannot be read: {error}",
                where="tokenizer.json",
                remedy="Restore tokenizer.json, or start a new run.",
            ) from error

    @property
    def is_of_music(self) -> bool:
        """Whether its text is the words of music."""
        return self._kind == "REMI"

    def _encode_words(self, text: str) -> Tokens:
        try:
            return np.asarray([self._words[word] for word in text.split()], dtype=np.int32)
        except KeyError as error:
            raise DataError(
                f"{error.args[0]!r} is not a word of music",
                remedy="Give words such as Bar_None, Position_0 and Pitch_60, as in the run's samples.",
            ) from error

    def _encode_characters(self, text: str) -> Tokens:
        points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        tokens = self._table[np.minimum(points, len(self._table) - 1)]
        missing = np.flatnonzero(tokens < 0)
        if missing.size:
            place = int(missing[0])
            character = text[place]
            raise DataError(
                f"the character {character!r} (U+{ord(character):04X}, at position {place}) is not in the vocabulary,"
                f" which holds the {np.count_nonzero(self._table >= 0)} characters of the training split",
                remedy="Remove the character, or use tokenizer type Byte or BPE, which know every text.",
            )
        return tokens


def parts_of(text: str) -> Iterator[str]:
    """The text in parts of a little more than `PIECE` that give the same tokens of byte-level BPE as the whole."""
    start = 0
    while boundary := _BOUNDARY.search(text, start + PIECE):
        yield text[start : boundary.start()]
        start = boundary.start()
    yield text[start:]


def to_utf8(text: str) -> bytes:
    """The bytes of a text.

    Raises:
        DataError: it has half of a surrogate pair, which stands for no character.
    """
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"half of a surrogate pair (U+{ord(text[error.start]):04X}, at position {error.start}) is not a character",
            remedy="Remove it, or write the whole character.",
        ) from error


def _character_table(texts: Sequence[str]) -> Tokens:
    """Token by code point, -1 where there is none; the last place is for all points above."""
    points = {ord(text): i for i, text in enumerate(texts) if text}
    table = np.full(max(points, default=0) + 2, -1, dtype=np.int32)
    table[list(points)] = list(points.values())
    return table


def _kind(inner: tokenizers.Tokenizer) -> str:
    document = json.loads(inner.to_str())
    model: dict[str, Any] = document["model"]
    if model["type"] == "WordLevel":
        return "REMI" if document["pre_tokenizer"]["type"] == "WhitespaceSplit" else "Character"
    return "BPE" if model["merges"] else "Byte"


def train_tokenizer(
    spec: ResolvedTokenizer, documents: Sequence[str], progress: Progress | None = None
) -> Tokenizer:
    """Makes a tokenizer from the training split; the same documents give the same tokenizer.

    Raises:
        DataError: It could not be learned.
    """
    if spec.type == "Character":
        return Tokenizer(_character(documents))
    if spec.type == "REMI":
        return Tokenizer(_of_music())
    if spec.type == "Byte":
        vocabulary = {c: i for i, c in enumerate(BYTE_ALPHABET)} | {END_OF_TEXT: 256}
        return Tokenizer(byte_level(models.BPE(vocab=vocabulary, merges=[]), use_regex=False))
    return Tokenizer(learn(documents, spec.vocabulary_size, progress or Progress()))


def _of_music() -> tokenizers.Tokenizer:
    inner = tokenizers.Tokenizer(models.WordLevel(vocab={word: i for i, word in enumerate(words())}))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    inner.add_special_tokens([END_OF_TEXT])
    return inner


def _character(documents: Sequence[str]) -> tokenizers.Tokenizer:
    characters = sorted(set().union(*map(set, documents)))
    vocabulary = {character: i for i, character in enumerate(characters)}
    inner = tokenizers.Tokenizer(models.WordLevel(vocab=vocabulary))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    inner.decoder = decoders.Fuse()
    if len(documents) > 1:
        inner.add_special_tokens([END_OF_TEXT])
    return inner
