"""Notes as words and back: a piece of music is the text of its tokens' names, in the representation REMI.

A new line begins with each bar, each position in it and each instrument, so that a note is a line. What miditok writes is
what it reads again: only the first reading rounds (times to twelfths of a beat, velocities to 32 levels, tempos to 32 between 40 and
250 beats a minute, so that 120 becomes 121.29).

Sources: Huang & Yang 2020 (REMI); Fradet et al. 2021 (MidiTok).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from raygen.data.music.midi import survey
from raygen.data.remarks import Remarks
from raygen.errors import DamagedError, DataError, MissingExtraError

LINES_BEGIN = ("Bar_", "Position_", "Program_")
"""How words begin that begin a line."""
_SETTINGS: dict[str, Any] = {
    "pitch_range": (0, 127),
    "drums_pitch_range": (0, 127),
    "beat_res": {(0, 4): 12, (4, 16): 4},
    "num_velocities": 32,
    "special_tokens": [],
    "use_programs": True,
    "one_token_stream_for_programs": True,
    "use_tempos": True,
    "use_time_signatures": True,
}
"""Of the representation; those who change them make tokens that models trained before cannot read."""
_SAME_TEMPO = 0.01
"""Beats a minute by which a tempo may differ from a word's, since files have it in whole microseconds."""


def words() -> list[str]:
    """All words, in the order of their tokens.

    Raises:
        MissingExtraError: miditok is not installed.
    """
    return [word for word in _library().vocab if not word.startswith("PAD_")]


def separated(word: str) -> str:
    """A word behind what parts it from others."""
    return ("\n" if word.startswith(LINES_BEGIN) else " ") + word


def text_of_midi(content: bytes, where: str, remarks: Remarks) -> str:
    """The words of a MIDI file; empty if it has no notes.

    Args:
        content: The file.
        where: What to call it.
        remarks: Takes the notes that are left out or changed.

    Raises:
        DamagedError: it is damaged; says at which byte.
        DataError: it cannot be used.
        MissingExtraError: miditok is not installed.
    """
    library = _library()
    from symusic import Score

    try:
        found = survey(content)
    except DataError as error:
        raise type(error)(error.what, where=where, remedy=error.remedy) from error
    if found.unreleased:
        remarks.skipped("note", "it never ends", where, found.unreleased)
    if found.empty:
        remarks.converted("note", "it ends when it begins, and gets a twelfth of a beat", where, found.empty)
    if not found.notes:
        return ""
    try:
        score: Any = Score.from_midi(content)
        given = [tempo.qpm for tempo in score.tempos]
        named: Sequence[str] = library.encode(score).tokens
    except Exception as error:  # the libraries raise whatever they meet
        raise DamagedError(
            f"it cannot be read as notes: {error}", where=where, remedy="Export it again, or leave it out."
        ) from error
    kept = sum(word.startswith("Pitch") for word in named)
    if kept < found.notes:
        remarks.skipped("note", "the words have no place for it", where, found.notes - kept)
    rounded = sum(min(abs(library.tempos - tempo)) > _SAME_TEMPO for tempo in given)
    if rounded:
        why = f"it is rounded to one of {len(library.tempos)} from {library.tempos[0]:g} to {library.tempos[-1]:g} beats a minute"
        remarks.converted("tempo", why, where, int(rounded))
    return "".join(map(separated, named)).lstrip() if kept else ""


def midi_of_text(text: str) -> bytes:
    """A MIDI file of words; what makes no note in its place is passed over.

    Raises:
        DataError: a word is not of the representation.
        MissingExtraError: miditok is not installed.
    """
    library = _library()
    from miditok import TokSequence

    named = text.split()
    unknown = next((word for word in named if word not in library.vocab), None)
    if unknown is not None:
        raise DataError(
            f"{unknown!r} is not a word of music", remedy="Give words such as Bar_None or Pitch_60."
        )
    # The library takes what it has read out of the lists that it is given.
    played = library.decode(TokSequence(tokens=list(named), ids=[library.vocab[word] for word in named]))
    content: bytes = played.dumps_midi()
    return content


@cache
def _library() -> Any:
    try:
        from miditok import REMI, TokenizerConfig
    except ModuleNotFoundError as error:
        raise MissingExtraError("miditok", "music") from error
    return REMI(TokenizerConfig(**_SETTINGS))
