"""What the filters find in honest texts: tinyshakespeare of the examples and the pages of this project, which have no personal data but made-up ones.

    python benchmarks/moderation_false_positives.py

For block lists it compares short words of everyday English, which read alike most easily, with a plain search for whole words: what the plain
search does not find is found as a disguise.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from raygen.data.sensitive.credentials import Span
from raygen.moderation.filters.forms import find_kind, find_random
from raygen.moderation.filters.words import Words
from raygen.spec.data.cleaning import PERSONAL_DATA

ROOT = Path(__file__).resolve().parents[1]
WORDS = (
    *("ass", "boob", "butt", "cock", "crap", "damn", "die", "drug", "fat", "fool", "gun", "hate", "hell", "hit", "idiot"),
    *("kill", "liar", "loser", "nude", "pill", "piss", "poison", "rape", "sex", "shit", "shoot", "slave", "slut", "stab"),
    *("steal", "suicide", "tit", "ugly", "whore"),
)  # fmt: skip


def words_found(text: str) -> tuple[list[Span], list[Span]]:
    """What a plain search finds of the words, and what is found besides."""
    plain = re.compile(rf"\b(?:{'|'.join(WORDS)})\b", re.IGNORECASE)
    known = {found.span() for found in plain.finditer(text)}
    return sorted(known), [span for span in Words(WORDS).find(text) if span not in known]


def main() -> None:
    """Prints a line for each text and filter."""
    pages = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
    texts = {
        "tinyshakespeare": [(ROOT / "examples/data/tinyshakespeare.txt").read_text()],
        # The page of this has examples of all that is to be found.
        "pages": [path.read_text() for path in pages if path.name != "moderation.md"],
    }
    finders: dict[str, Callable[[str], Sequence[Span]]] = {
        **{kind: partial(find_kind, kind=kind) for kind in PERSONAL_DATA},
        "random": find_random,
    }
    for name, documents in texts.items():
        size = sum(map(len, documents))
        print(f"{name}: {len(documents)} texts, {size:,} characters")
        for filter_name, find in finders.items():
            started = time.perf_counter()
            found = Counter(text[start:stop] for text in documents for start, stop in find(text))
            seconds = time.perf_counter() - started
            print(
                f"  {filter_name}: {found.total()} in {seconds:.2f} s {[piece[:60] for piece in found][:8]}"
            )
        started = time.perf_counter()
        known, others = 0, Counter[str]()
        for text in documents:
            plain, besides = words_found(text)
            known += len(plain)
            others.update(text[start:stop] for start, stop in besides)
        seconds = time.perf_counter() - started
        print(
            f"  {len(WORDS)} words: {known} as they are, {others.total()} besides in {seconds:.2f} s {others.most_common(12)}"
        )


if __name__ == "__main__":
    main()
