from __future__ import annotations

import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.checkpoint.values import decode_values, encode_values
from raygen.errors import CheckpointError

floats = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | st.integers() | floats | st.text()
json_values = st.recursive(
    scalars, lambda c: st.lists(c, max_size=4) | st.dictionaries(st.text(), c, max_size=4)
)


@given(st.dictionaries(st.text(), json_values, max_size=5))
def test_values_round_trip(values: dict[str, Any]) -> None:
    loaded = decode_values(encode_values(values))
    assert loaded == values
    assert repr(loaded) == repr(values)


@given(floats)
def test_floats_keep_every_bit(number: float) -> None:
    loaded = decode_values(encode_values({"x": number}))["x"]
    assert struct.pack("d", loaded) == struct.pack("d", number)


def test_large_integers_stay_exact() -> None:
    values = {"pcg64": 2**128 - 1, "negative": -(2**64)}
    assert decode_values(encode_values(values)) == values


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"a": {"b": [0.0, math.nan]}}, r"values\.a\.b\[1\] is nan"),
        ({"a": -math.inf}, r"values\.a is -inf"),
        ({"a": (1, 2)}, r"values\.a is a tuple"),
        ({"a": {1: 2}}, r"values\.a has the key 1"),
        ({"a": b""}, r"values\.a is a bytes"),
        ({"a": {1, 2}}, r"values\.a is a set"),
    ],
)
def test_what_json_would_change_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        encode_values(values)


@pytest.mark.parametrize("data", [b"", b"[]", b"\x80\x04.", b"[" * 100_000])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(CheckpointError):
        decode_values(data)
