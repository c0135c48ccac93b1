from __future__ import annotations

from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from raygen.data.text.lengths import added, count_lengths, cut_off
from tests.budget import examples

LENGTHS = st.lists(st.integers(0, 5000), max_size=30)
USUAL = st.sampled_from([1, 17, 100, 127, 128, 256, 384, 1000, 1024, 2048])


def longer(counts: dict[str, int], context: int) -> int:
    return sum(remark.count for remark in cut_off(counts, context))


@examples(100)
@given(lengths=LENGTHS, context=USUAL)
def test_usual_contexts_are_counted_exactly(lengths: list[int], context: int) -> None:
    assert longer(count_lengths(lengths), context) == sum(length > context for length in lengths)


@examples(100)
@given(lengths=LENGTHS, context=st.integers(1, 5000))
def test_no_context_is_counted_too_high(lengths: list[int], context: int) -> None:
    found = longer(count_lengths(lengths), context)

    assert sum(length > context * 65 // 64 + 1 for length in lengths) <= found
    assert found <= sum(length > context for length in lengths)


@examples(100)
@given(parts=st.lists(LENGTHS, max_size=4))
def test_counts_add_up(parts: list[list[int]]) -> None:
    assert added(map(count_lengths, parts)) == count_lengths(chain.from_iterable(parts))
