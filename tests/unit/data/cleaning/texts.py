"""Texts for tests of cleaning: random words, and copies with small changes."""

from __future__ import annotations

import random

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def vocabulary(generator: random.Random, size: int = 3000) -> list[str]:
    return ["".join(generator.choices(LETTERS, k=generator.randint(2, 9))) for _ in range(size)]


def document(generator: random.Random, words: list[str], length: int) -> str:
    return " ".join(generator.choices(words, k=length)).capitalize() + "."


def edited(generator: random.Random, words: list[str], text: str, changes: int) -> str:
    """A copy of which some words are replaced, in other case and with other signs between words."""
    parts = text.split()
    for at in generator.sample(range(len(parts)), changes):
        parts[at] = generator.choice(words)
    return ",  ".join(parts).upper()
