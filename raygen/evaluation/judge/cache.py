"""Answers that were paid for, kept in a folder: what is asked again costs nothing.

Each process appends JSON lines to a file of its own, and reads those of all. So processes need no lock, and one that is killed can
leave a torn last line in its own file alone, which readers pass over. The lines hold hashes of what was asked, and no question,
answer or key; explanations are a judge's own words and may quote the texts.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeGuard

from raygen.errors import OutputError
from raygen.evaluation.judge.answers import Answer

NoScoreReason = Literal[
    "InvalidAnswer", "Filtered", "Refused", "Unreachable", "EmptyText", "InvalidText", "NotJudged"
]
KEPT_REASONS = ("InvalidAnswer", "Filtered")
"""Reasons that are the judge's own answer; with all others another pass may fare better, so they are not kept."""

PATTERN = "answers-*.jsonl"


@dataclass(frozen=True)
class NoAnswer:
    """Why there is no answer.

    Attributes:
        reason: One word.
        detail: A sentence.
    """

    reason: NoScoreReason
    detail: str


class Cache:
    """Answers by the hash of all that they depend on.

    Args:
        folder: Where they are kept, created if there is none; None keeps them in memory alone.

    Raises:
        OutputError: the folder cannot be read or written.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._known: dict[str, Answer | NoAnswer] = {}
        self._file: int | None = None
        if folder is not None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                for path in sorted(folder.glob(PATTERN)):
                    self._read(path.read_bytes())
            except OSError as error:
                raise self._refused(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, key: str) -> Answer | NoAnswer | None:
        """The answer of a key, if it is there."""
        with self._lock:
            return self._known.get(key)

    def put(self, key: str, outcome: Answer | NoAnswer, about: Mapping[str, str]) -> Answer | NoAnswer:
        """Keeps an answer; once this returns, killing the process does not lose it.

        Args:
            key: What it depends on, hashed.
            outcome: The answer, or a reason that is one of `KEPT_REASONS`.
            about: What a reader of the file may want to know, as the model and the metric.

        Returns:
            The answer that stands: the first one, where two threads have asked the same.

        Raises:
            OutputError: the file cannot be written.
        """
        name = "answer" if isinstance(outcome, Answer) else "none"
        line = json.dumps({"key": key, name: asdict(outcome), **about}) + "\n"
        with self._lock:
            if key in self._known:
                return self._known[key]
            self._known[key] = outcome
            if self._folder is not None:
                try:
                    self._append(self._folder, line.encode())
                except OSError as error:
                    # What was written of the line would spoil the next one.
                    self._close()
                    raise self._refused(error) from error
            return outcome

    def close(self) -> None:
        """Closes the file of this process; a later answer opens another one."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _append(self, folder: Path, line: bytes) -> None:
        if self._file is None:
            self._file = _created(folder)
        while line:
            line = line[os.write(self._file, line) :]

    def _read(self, content: bytes) -> None:
        for line in content.splitlines():
            try:
                document = json.loads(line)
            except ValueError:
                continue
            entry = _entry(document)
            if entry is not None:
                # Where two processes have asked the same, the first file's answer stands, in every later process.
                self._known.setdefault(*entry)

    def _refused(self, error: OSError) -> OutputError:
        return OutputError(
            f"a judge's answers cannot be kept: {error.strerror or type(error).__name__}",
            where=str(self._folder),
            remedy="Name a folder that can be written, on a disk with room.",
        )


def _created(folder: Path) -> int:
    """A new file that no other process has; opened to append."""
    number = sum(1 for _ in folder.glob(PATTERN))
    while True:
        number += 1
        try:
            path = folder / f"answers-{number:05}.jsonl"
            return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            continue


def _entry(document: object) -> tuple[str, Answer | NoAnswer] | None:
    """The key and the outcome of a line; None if it is not one of ours."""
    if not isinstance(document, dict) or not isinstance(document.get("key"), str):
        return None
    answer, none = document.get("answer"), document.get("none")
    if _is_answer(answer):
        return document["key"], Answer(**answer)
    if isinstance(none, dict) and none.get("reason") in KEPT_REASONS and isinstance(none.get("detail"), str):
        return document["key"], NoAnswer(none["reason"], none["detail"])
    return None


def _is_answer(found: object) -> TypeGuard[dict[str, Any]]:
    if not isinstance(found, dict) or found.keys() != {"choice", "explanation", "expected", "likeliest"}:
        return False
    numbers = (found["expected"], found["likeliest"])
    return (
        isinstance(found["choice"], str)
        and isinstance(found["explanation"], str)
        and all(number is None or type(number) in (int, float) for number in numbers)
    )
