"""How every finding ends: what one would expect, what was seen, and whether the surprise is still there."""

from __future__ import annotations

import sys
from typing import NoReturn

CHANGED = 3
"""Exit code that no failing Python program has of itself."""


def verdict(*, expected: str, seen: str, holds: bool) -> NoReturn:
    """Prints both and ends the program.

    Args:
        expected: What the documentation, or a reader of the call, leads one to expect.
        seen: What happened.
        holds: Whether that is the surprise.
    """
    print(f"expected:   {expected}")
    print(f"seen:       {seen}")
    print("holds" if holds else "changed:    what was seen is not the surprise that this finding describes")
    sys.stdout.flush()
    sys.exit(0 if holds else CHANGED)
