from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st

from raygen.data.sources import lines as module
from raygen.data.sources.lines import lines
from tests.budget import examples


class Slow(io.RawIOBase):
    """Gives a few bytes at a time, as a network does."""

    def __init__(self, content: bytes, most: int) -> None:
        self._left, self._most = content, most

    def read(self, count: int = -1, /) -> bytes:
        piece, self._left = self._left[: self._most], self._left[self._most :]
        return piece


@examples(300)
@given(st.lists(st.sampled_from([b"\n", b"a", b"bcd", b"\r", b"e" * 9]), max_size=30), st.integers(1, 9))
def test_lines_are_those_of_split_with_their_places(pieces: list[bytes], most: int) -> None:
    content = b"".join(pieces)
    expected = content.split(b"\n")
    if not expected[-1]:
        expected.pop()
    found = list(lines(Slow(content, most), 5, at=100))

    assert [line for _, line in found] == [line if len(line) <= 5 else None for line in expected]
    for (at, _), line in zip(found, expected, strict=True):
        assert content[at - 100 :].startswith(line)


def test_a_long_line_is_passed_over_and_not_held() -> None:
    class Endless(io.RawIOBase):
        """A line of a gigabyte, of which a piece is there at a time."""

        left = 1 << 10
        piece = b"x" * module.PIECE

        def read(self, count: int = -1, /) -> bytes:
            self.left -= 1
            return self.piece if self.left > 0 else b"\nlast" * (self.left == 0)

    import tracemalloc

    tracemalloc.start()
    try:
        found = list(lines(Endless(), 1 << 22))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert [line for _, line in found] == [None, b"last"]
    assert peak < 12 << 20
