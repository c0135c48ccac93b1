from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from symusic import Score

from raygen.data.music import remi
from raygen.data.music.remi import midi_of_text, text_of_midi, words
from raygen.data.remarks import Remarks
from raygen.errors import DataError, MissingExtraError
from tests.budget import examples
from tests.music import BEAT, midi, note, piece


def text(content: bytes) -> tuple[str, list[str]]:
    remarks = Remarks()
    found = text_of_midi(content, "a.mid", remarks)
    return found, [str(remark) for remark in remarks.all()]


def notes(content: bytes) -> list[tuple[float, float, int, int]]:
    """Start and length in beats, pitch and program."""
    score = Score.from_midi(content)
    return sorted(
        (n.time / score.tpq, n.duration / score.tpq, n.pitch, part.program)
        for part in score.tracks
        for n in part.notes
    )


def test_a_note_is_a_line() -> None:
    found, remarks = text(midi(note(0, BEAT, 60)))

    assert found.splitlines() == [
        "Bar_None TimeSig_4/4",
        "Position_0 Tempo_121.29",
        "Program_0 Pitch_60 Velocity_79 Duration_1.0.12",
    ]
    assert remarks == []


@pytest.mark.parametrize("seed", range(12))
def test_notes_survive_and_a_second_reading_changes_nothing(seed: int) -> None:
    content = piece(seed)
    once, _ = text(content)

    again = midi_of_text(once)

    assert notes(again) == notes(content)
    assert text(again)[0] == once
    assert set(once.split()) <= set(words())


def test_thirds_of_a_beat_stay() -> None:
    triplet = [event for place in range(3) for event in note(place * BEAT // 3, BEAT // 3, 60 + place)]

    found, _ = text(midi(triplet))

    assert [round(start * 12) for start, *_ in notes(midi_of_text(found))] == [0, 4, 8]


def test_overlapping_notes_end_in_the_order_in_which_they_began() -> None:
    found, _ = text(midi([*note(0, 2 * BEAT, 60), *note(BEAT, 2 * BEAT, 60)]))

    assert [(start, length) for start, length, *_ in notes(midi_of_text(found))] == [(0, 2), (1, 2)]


def test_what_is_left_out_or_changed_is_told() -> None:
    odd = [*note(0, BEAT, 60), *note(0, 0, 62), *note(0, BEAT, 64)[:1]]

    found, remarks = text(midi(odd))

    assert found.count("Pitch_") == 2
    assert remarks == [
        "1 note skipped: it never ends (a.mid)",
        "1 note converted: it ends when it begins, and gets a twelfth of a beat (a.mid)",
    ]


def test_tempos_that_no_word_has_are_told() -> None:
    def tempo(time: int, beats: float) -> tuple[int, bytes]:
        return time, b"\xff\x51\x03" + round(60e6 / beats).to_bytes(3)

    own = [tempo(0, 120), tempo(4 * BEAT, 90), tempo(8 * BEAT, 250), *note(0, 12 * BEAT, 60)]

    found, remarks = text(midi(own))

    assert [word for word in found.split() if word.startswith("Tempo")] == [
        "Tempo_121.29",
        "Tempo_87.42",
        "Tempo_250.0",
    ]
    assert remarks == [
        "2 tempos converted: it is rounded to one of 32 from 40 to 250 beats a minute (a.mid and 1 more)"
    ]
    assert text(midi_of_text(found))[1] == []


def test_a_piece_without_notes_is_empty() -> None:
    assert text(midi([]))[0] == ""
    assert text(midi(note(0, BEAT, 60)[:1]))[0] == ""


def outcome(content: bytes) -> str:
    try:
        found, _ = text(content)
    except DataError as error:
        return "refused" if error.where == "a.mid" and error.remedy else "refused without a place"
    return "read" if set(found.split()) <= set(words()) else "other words"


def test_the_whole_range_of_pitches_is_there() -> None:
    content = midi([event for pitch in range(128) for event in note(pitch * BEAT, BEAT, pitch)])

    assert [pitch for *_, pitch, _ in notes(midi_of_text(text(content)[0]))] == list(range(128))


@examples(60)
@given(seed=st.integers(0, 5), place=st.integers(22, 400), byte=st.integers(0, 255))
def test_a_damaged_file_is_read_or_refused(seed: int, place: int, byte: int) -> None:
    content = bytearray(piece(seed))
    content[place % len(content)] = byte
    assert outcome(bytes(content)) in ("read", "refused")


@examples(60)
@given(named=st.lists(st.sampled_from(words()), max_size=60))
def test_any_words_are_played(named: list[str]) -> None:
    assert midi_of_text(" ".join(named))[:4] == b"MThd"


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "miditok", None)
    remi._library.cache_clear()

    with pytest.raises(MissingExtraError, match=r"raygen\[music\]"):
        text(piece(0))


def test_other_words_are_refused() -> None:
    with pytest.raises(DataError, match="'Pitch_200' is not a word of music"):
        midi_of_text("Bar_None Pitch_200")
