from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.data.music.midi import MOST_BEATS, Survey, survey
from raygen.errors import DamagedError, DataError
from tests.budget import examples
from tests.music import BEAT, midi, note, piece


def test_a_note_ends_the_first_of_its_pitch_that_sounds() -> None:
    overlapping = [*note(0, 2 * BEAT, 60), *note(BEAT, 2 * BEAT, 60)]

    assert survey(midi(overlapping)) == Survey(notes=2, unreleased=0, empty=0)


def test_notes_without_an_end_or_a_length_are_counted() -> None:
    never = note(0, BEAT, 60)[:1]
    # A note-on of velocity 0 ends a note too; one of another channel does not.
    zero = [(0, bytes([0x90, 62, 80])), (0, bytes([0x90, 62, 0])), (BEAT, bytes([0x81, 60, 0]))]

    assert survey(midi([*never, *zero], note(0, BEAT, 64))) == Survey(notes=2, unreleased=1, empty=1)


def test_running_status_sysex_and_meta_events_are_passed_over() -> None:
    events = [
        (0, b"\xf0\x03\x01\x02\xf7"),
        (0, b"\xff\x01\x04song"),
        (0, bytes([0x90, 60, 80])),
        (BEAT, bytes([60, 0])),
        (BEAT, b"\xc0\x05"),
    ]

    assert survey(midi(events)) == Survey(notes=1, unreleased=0, empty=0)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "begin as a MIDI file"),
        (b"RIFF" + piece(0), "begin as a MIDI file"),
        (piece(0)[:14], "no tracks"),
        (piece(0)[:-9], "cut off"),
        (midi([(0, b"\x90\x3c\x90")]), "value is above 127"),
        (midi([(0, b"\xff\x58\x04\x00\x02\x18\x08")]), "bars without beats"),
        (midi([(0, b"\xf4\x01")]), "no event 0xf4"),
        (midi([(0, b"\xff\x01\x7fab")]), "behind the end of its track"),
    ],
)
def test_what_is_damaged_is_told_with_its_place(content: bytes, what: str) -> None:
    with pytest.raises(DamagedError, match=rf"{what}.*, at byte \d"):
        survey(content)


def test_films_and_endless_pieces_are_refused() -> None:
    with pytest.raises(DataError, match="SMPTE"):
        survey(midi(note(0, BEAT, 60), division=0xE728))
    with pytest.raises(DataError, match="50,000 beats"):
        survey(midi(note((MOST_BEATS + 1) * BEAT, BEAT, 60)))


def outcome(content: bytes) -> str:
    try:
        found = survey(content)
    except DataError as error:
        return "refused with a remedy" if error.what and error.remedy else "refused"
    return "read" if found.notes >= found.empty >= 0 else "miscounted"


@examples(300)
@given(seed=st.integers(0, 5), place=st.integers(0, 400), byte=st.integers(0, 255), keep=st.booleans())
def test_no_file_breaks_the_walk(seed: int, place: int, byte: int, keep: bool) -> None:
    content = bytearray(piece(seed))
    content[place % len(content)] = byte
    cut = bytes(content if keep else content[: place % len(content)])

    assert outcome(cut) in ("read", "refused with a remedy")


@examples(200)
@given(content=st.binary(max_size=200))
def test_noise_behind_a_head_breaks_nothing(content: bytes) -> None:
    head = midi()[:14] + b"MTrk" + len(content).to_bytes(4)

    assert outcome(head + content) in ("read", "refused with a remedy")
