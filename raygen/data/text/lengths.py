"""How long documents are, counted so that few numbers tell how many do not fit into a context."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from raygen.data.remarks import Remark

_BITS = 7
"""Significant bits of a length that are kept: all usual contexts are such numbers, and lengths of up to 128 are exact."""


def count_lengths(lengths: Iterable[int]) -> dict[str, int]:
    """How many lengths there are by their value, rounded up to its first seven binary digits, as text."""
    counts = Counter(map(_rounded_up, lengths))
    return {str(length): counts[length] for length in sorted(counts)}


def added(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Several of what `count_lengths` gave as one."""
    total: Counter[int] = Counter()
    for one in counts:
        total.update({int(length): count for length, count in one.items()})
    return {str(length): total[length] for length in sorted(total)}


def cut_off(counts: Mapping[str, int], context: int) -> tuple[Remark, ...]:
    """A remark on documents that are longer than a context, where each is a sample of its own; none if all fit.

    A context that is no number of seven significant binary digits may have a few more of them than are counted.
    """
    border = _rounded_up(context + 1)
    exact = _rounded_up(context) == context
    longer = sum(count for length, count in counts.items() if int(length) >= border + (not exact))
    if not longer:
        return ()
    return (
        Remark(
            "Converted", "document", longer, f"longer than contextLength {context:,}, and cut off there", ()
        ),
    )


def _rounded_up(length: int) -> int:
    shift = max(length.bit_length() - _BITS, 0)
    return -(-length >> shift) << shift
