"""Rows that are put in order with few of them in memory."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from raygen.preparation.tables import in_order
from tests.budget import examples

ORDERS = st.lists(
    st.one_of(st.integers(0, 2**64 - 1), st.sampled_from([0, 1, 2**63, 2**64 - 1])), max_size=30
)


def rows(orders: list[int], first: int) -> pa.Table:
    return pa.table(
        {
            "order": pa.array(orders, pa.uint64()),
            "number": pa.array(range(first, first + len(orders)), pa.int64()),
        }
    )


@examples(200)
@given(st.lists(ORDERS, min_size=1, max_size=4), st.integers(1, 9))
def test_it_is_as_if_all_rows_were_sorted_at_once(parts: list[list[int]], groups: int) -> None:
    firsts = np.cumsum([0, *map(len, parts)]).tolist()
    found = list(in_order((rows(part, first) for part, first in zip(parts, firsts, strict=False)), groups))

    assert len(found) == groups
    everything = [order for part in parts for order in part]
    expected = sorted(range(len(everything)), key=lambda number: everything[number])
    assert pa.concat_tables(found).column("number").to_pylist() == expected
    for group, table in enumerate(found):
        assert all(order * groups >> 64 == group for order in table.column("order").to_pylist())
