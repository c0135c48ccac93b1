"""Measurements of a run: written in numbered segments by each attempt, read as one course."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from raygen.storage import Storage

TRAIN = "train"
EVALUATION = "evaluation"
"""Kinds of measurements."""
PER_SECOND = "_per_second"
"""Ends the name of the throughput, tokens_per_second for text."""
DATA_WAIT = "data_wait_ratio"
"""Name of the share of the time in steps in which training waited for data."""
READ_EVERY = 10
"""Steps whose scalars are read from the device together, and share a rate and a share of waiting."""

_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class Resumed(Protocol):
    """What merging must know of an attempt."""

    @property
    def number(self) -> int:
        """From 1."""

    @property
    def resumed_from(self) -> int | None:
        """The step that it continued from."""


@dataclass(frozen=True, slots=True)
class Line:
    """Measurements of one kind ("train", "evaluation") after `step` steps; `time` in Unix seconds."""

    step: int
    kind: str
    attempt: int
    time: float
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Metrics:
    """The measurements of a run, by step, and a sentence for every line that was left out."""

    lines: tuple[Line, ...]
    damaged: tuple[str, ...] = ()


class MetricsWriter:
    """Gathers measurements and writes them as one new segment per flush. Any thread may call it.

    Args:
        storage: The run's own folder.
        attempt: The number of the attempt.
        segment: The newest segment that the attempt has already.
        clock: Unix seconds.
    """

    def __init__(
        self, storage: Storage, attempt: int, segment: int = 0, clock: Callable[[], float] = time.time
    ) -> None:
        self._storage = storage
        self._attempt = attempt
        self._clock = clock
        self._lines: list[bytes] = []
        self._segment = segment
        self._appending = threading.Lock()
        self._flushing = threading.Lock()

    def append(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        """Takes measurements; they are safe after the next flush."""
        head = {"attempt": self._attempt, "step": step, "kind": kind, "time": self._clock()}
        numbers = {name: _spelled(value) for name, value in values.items()}
        line = json.dumps({**head, "values": numbers}, allow_nan=False).encode()
        with self._appending:
            self._lines.append(line)

    def flush(self) -> None:
        """Writes what has been gathered, if anything; keeps it for the next flush if that fails.

        Raises:
            OutputError: If the output cannot be written.
        """
        with self._flushing:
            with self._appending:
                lines = tuple(self._lines)
            if not lines:
                return
            key = f"metrics/{self._attempt:03d}-{self._segment + 1:05d}.jsonl"
            self._storage.write(key, b"\n".join(lines) + b"\n")
            self._segment += 1
            with self._appending:
                del self._lines[: len(lines)]


class NoMeasurements:
    """Takes measurements that another worker writes."""

    def append(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        """Does nothing."""

    def flush(self) -> None:
        """Does nothing."""


def merge(lines: Iterable[Line], attempts: Iterable[Resumed]) -> list[Line]:
    """One course out of the lines of all attempts, sorted by step and kind.

    For each step and kind the newest attempt's line stays, of one attempt the last. An attempt that
    resumed from step s has taken back everything that older attempts measured after s: those lines
    go, even where it has not come so far again.
    """
    starts = {a.number: a.resumed_from for a in attempts if a.resumed_from is not None}
    newest: dict[tuple[int, str], Line] = {}
    for line in lines:
        ends = (step for number, step in starts.items() if number > line.attempt)
        if line.step <= min(ends, default=line.step):
            held = newest.get((line.step, line.kind))
            if held is None or held.attempt <= line.attempt:
                newest[line.step, line.kind] = line
    return [newest[place] for place in sorted(newest)]


def line_of(text: bytes, attempt: int) -> Line:
    """The measurements in one line of an attempt's segment; ValueError, KeyError or TypeError if it is damaged."""
    record = json.loads(text)
    if record["attempt"] != attempt:
        raise ValueError("the line is another attempt's")
    values = {str(name): _number(value) for name, value in record["values"].items()}
    return Line(int(record["step"]), str(record["kind"]), attempt, float(record["time"]), values)


def finite(value: object) -> object:
    """JSON has no NaN and no infinities: in a document they become null."""
    if isinstance(value, Mapping):
        return {key: finite(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [finite(child) for child in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _spelled(value: float) -> float | str:
    """JSON has no NaN and no infinities: they become strings."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _number(value: object) -> float:
    if isinstance(value, str):
        return _NOT_FINITE[value]
    if isinstance(value, int | float):
        return value
    raise TypeError(f"{value!r} is not a number")
