"""The frame of a Standard MIDI File, walked through before a library reads it.

Whatever this lets pass is whole: chunks and events end where the file says, and the piece is no longer than is sensible, so that
no few bytes become millions of bars.

Source: MIDI Manufacturers Association 1996, Standard MIDI Files 1.0.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass

from raygen.errors import DamagedError, DataError

MOST_BYTES = 16 << 20
"""The largest file; the fullest pieces that people exchange have a tenth of it."""
MOST_BEATS = 50_000
"""The longest piece, in beats: seven hours at 120 beats a minute."""
_REMEDY = "Export the piece again, or leave the file out."
_OPERANDS = {0x80: 2, 0x90: 2, 0xA0: 2, 0xB0: 2, 0xC0: 1, 0xD0: 1, 0xE0: 2}
_META, _SYSTEM = 0xFF, (0xF0, 0xF7)
_END_OF_TRACK, _TIME_SIGNATURE = 0x2F, 0x58


@dataclass(frozen=True)
class Survey:
    """What a file holds.

    Attributes:
        notes: Notes that begin and end.
        unreleased: Notes that never end; no reader plays them.
        empty: Notes that end when they begin.
    """

    notes: int
    unreleased: int
    empty: int


def survey(content: bytes) -> Survey:
    """Walks through a file. A note ends the first of its pitch and channel that still sounds.

    Raises:
        DamagedError: it is damaged or cut off; says at which byte.
        DataError: it is whole, and cannot be used.
    """
    if content[:4] != b"MThd" or len(content) < 14:
        raise _damaged("it does not begin as a MIDI file", 0)
    division = int.from_bytes(content[12:14])
    if division & 0x8000 or not division:
        raise DataError(
            "its times are frames of film (SMPTE), and not beats",
            remedy="Export it with beats, or leave it out.",
        )
    place, found, tracks = 8 + int.from_bytes(content[4:8]), Survey(0, 0, 0), 0
    while place < len(content):
        size = int.from_bytes(content[place + 4 : place + 8])
        if place + 8 + size > len(content):
            raise _damaged("it is cut off", len(content))
        if content[place : place + 4] == b"MTrk":
            tracks += 1
            track = _Track(content, place + 8, place + 8 + size).survey(division)
            found = Survey(
                found.notes + track.notes, found.unreleased + track.unreleased, found.empty + track.empty
            )
        place += 8 + size
    if not tracks:
        raise _damaged("it has no tracks", len(content))
    return found


class _Track:
    def __init__(self, content: bytes, start: int, end: int) -> None:
        self._content = content
        self._place = start
        self._end = end

    def survey(self, division: int) -> Survey:
        notes = empty = time = status = 0
        sounding: dict[tuple[int, int], deque[int]] = defaultdict(deque)
        while self._place < self._end:
            time += self._number()
            if time > MOST_BEATS * division:
                raise DataError(
                    f"it is longer than {MOST_BEATS:,} beats", remedy="Cut it into pieces, or leave it out."
                )
            first = self._byte()
            if first == _META or first in _SYSTEM:
                kind = self._byte() if first == _META else 0
                size = self._number()
                self._skip(size)
                if kind == _END_OF_TRACK:
                    break
                if kind == _TIME_SIGNATURE and size and not self._content[self._place - size]:
                    # Of such bars there would be no end.
                    raise _damaged("a time signature has bars without beats", self._place)
                continue
            if first >= 0x80:
                status, first = first, self._byte()
            operands = _OPERANDS.get(status & 0xF0)
            if operands is None:
                raise _damaged(f"there is no event {status:#04x}", self._place)
            second = self._byte() if operands == 2 else 0
            if first > 0x7F or second > 0x7F:
                raise _damaged("an event's value is above 127", self._place)
            if status & 0xF0 not in (0x80, 0x90):
                continue
            same = sounding[status & 0x0F, first]
            if status & 0xF0 == 0x90 and second:
                same.append(time)
            elif same:
                notes += 1
                empty += same.popleft() == time
        return Survey(notes, sum(map(len, sounding.values())), empty)

    def _number(self) -> int:
        """A number of up to four bytes, seven bits each."""
        value = 0
        for _ in range(4):
            byte = self._byte()
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value
        raise _damaged("a number has more than four bytes", self._place)

    def _byte(self) -> int:
        self._skip(1)
        return self._content[self._place - 1]

    def _skip(self, count: int) -> None:
        self._place += count
        if self._place > self._end:
            raise _damaged("an event goes on behind the end of its track", self._end)


def _damaged(what: str, place: int) -> DamagedError:
    return DamagedError(f"{what}, at byte {place:,}", remedy=_REMEDY)
