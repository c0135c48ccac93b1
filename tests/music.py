"""Pieces of music for tests: scales and chords, by script."""

from __future__ import annotations

import random
from pathlib import Path

Event = tuple[int, bytes]
"""Time in ticks, and the event."""
BEAT = 480


def number(value: int) -> bytes:
    """A number as MIDI files have it: seven bits a byte."""
    found = [value & 0x7F]
    while value := value >> 7:
        found.append(value & 0x7F | 0x80)
    return bytes(reversed(found))


def track(events: list[Event]) -> bytes:
    """A track of events in any order."""
    content, now = b"", 0
    for time, event in sorted(events, key=lambda pair: pair[0]):
        content += number(time - now) + event
        now = time
    content += b"\x00\xff\x2f\x00"
    return b"MTrk" + len(content).to_bytes(4) + content


def midi(*tracks: list[Event], division: int = BEAT) -> bytes:
    """A MIDI file."""
    head = (6).to_bytes(4) + (1).to_bytes(2) + len(tracks).to_bytes(2) + division.to_bytes(2)
    return b"MThd" + head + b"".join(map(track, tracks))


def note(start: int, length: int, pitch: int, velocity: int = 80, channel: int = 0) -> list[Event]:
    """A note, in ticks."""
    return [
        (start, bytes([0x90 | channel, pitch, velocity])),
        (start + length, bytes([0x80 | channel, pitch, 0])),
    ]


def piece(seed: int) -> bytes:
    """A scale from a tone that is drawn, with a chord below each bar."""
    draw = random.Random(seed)
    root, steps = draw.randint(48, 72), [0, 2, 4, 5, 7, 9, 11, 12]
    scale = steps if draw.random() < 0.5 else steps[::-1]
    melody: list[Event] = [(0, b"\xff\x51\x03\x07\xa1\x20"), (0, b"\xff\x58\x04\x04\x02\x18\x08")]
    chords: list[Event] = []
    for place, step in enumerate(scale * draw.randint(1, 3)):
        melody += note(place * BEAT, BEAT, root + step, 64 + draw.randint(0, 30))
        if place % 4 == 0:
            for tone in (0, 4, 7):
                chords += note(place * BEAT, 4 * BEAT, root - 12 + tone, channel=1)
    return midi(melody, chords)


def write_pieces(folder: Path, count: int) -> None:
    """Pieces as files of a folder and one below it."""
    (folder / "more").mkdir(parents=True, exist_ok=True)
    for seed in range(count):
        name = f"more/{seed:03}.MIDI" if seed % 3 == 0 else f"{seed:03}.mid"
        (folder / name).write_bytes(piece(seed))
