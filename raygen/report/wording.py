"""Numbers, times and foreign text as a reader should see them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

MAX_TEXT = 4000
"""Characters of one text that are shown."""

_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 without tab and newline, DEL, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks and overrides of direction
    "\u2028\u2029\ufeff\ufff9-\ufffb\ufffe\uffff"  # line separators, interlinear marks, no characters
    "\U000e0000-\U000e007f"  # tags, which hide text
    "\ud800-\udfff]"
)


def inert(text: str, limit: int = MAX_TEXT) -> str:
    """Text from outside that can be shown anywhere: bounded, and with nothing in it that steers a display.

    Control and direction characters become visible, lone surrogates U+FFFD; HTML is not escaped here.
    """
    shown = text[:limit].replace("\r\n", "\n")
    more = len(text) - limit
    ending = f" … ({more:,} more characters)" if more > 0 else ""
    return _CONTROL.sub(_visible, shown) + ending


def _visible(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xD800 <= code <= 0xDFFF:
        return "\ufffd"
    if code < 0x20:
        return chr(0x2400 + code)
    return f"⟨U+{code:04X}⟩"


def label(value: float) -> str:
    """A number with four digits that count, thousands separators, and a power of ten where that is shorter."""
    if abs(value) < 1e15 and (abs(value) >= 1000 or float(value).is_integer()):
        return f"{value + 0.0:,.0f}"
    return f"{value:.4g}"


def utc(when: datetime) -> datetime:
    """A time in UTC; a time without a zone is taken as UTC."""
    return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)


def moment(when: datetime) -> str:
    """A time in UTC to the second."""
    return utc(when).strftime("%Y-%m-%d %H:%M:%S UTC")


def duration(seconds: float) -> str:
    """Seconds in the two largest units that count: 42 s, 3 min 20 s, 5 h 7 min, 2 d 4 h."""
    left = max(round(seconds), 0)
    parts = []
    for name, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        parts.append((count, name))
    first = next((i for i, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(f"{count} {name}" for count, name in parts[first : first + 2] if count) or "0 s"


def size(count: float) -> str:
    """Bytes with a binary unit."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(count) < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} PiB"
