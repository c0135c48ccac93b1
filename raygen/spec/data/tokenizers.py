"""How text becomes tokens."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from raygen.spec.schema.base import Tagged


class Tokenizer(Tagged):
    """How text becomes tokens. The tokenizer is made from the training split and saved with the run."""

    type: Literal["Character", "Byte", "BPE", "REMI"]
    """Character: one token per distinct character. Byte: the 256 bytes of UTF-8. BPE: byte-level
    byte-pair encoding, learned from the training split; runs of letters, digits, signs or blanks longer than 512 bytes
    are cut for learning. REMI: the notes of Midi by bars, positions, instruments, pitches, velocities, durations and tempos; times are
    rounded to a twelfth of a beat, velocities to one of 32, and tempos to the nearest of 32 that are 6.77 apart from 40 to 250 beats a minute: 120 becomes 121.29."""
    vocabulary_size: Annotated[int, Field(ge=257, le=1_000_000)] | None = None
    """Size of the vocabulary that BPE learns, the 256 bytes and the end-of-text token included, in tokens.
    Default: 4096."""

    belongs: ClassVar[dict[str, tuple[str, ...]]] = {"vocabulary_size": ("BPE",)}


Tokenizer.rules = Tokenizer.foreign_rules()


class PlainTokenizer(Tokenizer):
    """Resolved: a tokenizer that nothing is learned for."""

    type: Literal["Character", "Byte", "REMI"]


class BPETokenizer(Tokenizer):
    """Resolved: byte-pair encoding."""

    type: Literal["BPE"]
    vocabulary_size: Annotated[int, Field(ge=257, le=1_000_000)] = 4096


ResolvedTokenizer = PlainTokenizer | BPETokenizer
