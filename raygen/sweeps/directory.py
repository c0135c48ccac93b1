"""The directory of a sweep, the truth about it: which objects it has, and who may write them.

    drivers/0001.json        claimed by conditional create
    log/0001-000001.jsonl    events, in numbered segments of one driver; see `raygen.sweeps.events`
    report.html              the same as a page, written when a driver ends
    summary.json             how the sweep is, for those who only want to know that; made from the log again and again
    trials/t0007/            run directories

A sweep has one writer at a time, the newest driver. An older one that still lives finds out and stops; what it wrote until
then counts for nothing, since the newer one's first event says how much of the log it has read.
"""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from raygen.errors import FencedError, InputError, OutputError
from raygen.storage import AlreadyExistsError, Storage
from raygen.sweeps.events import Began, Event, Proposed, document_of, event_of, newest_sweep

SUMMARY = "summary.json"
TRIALS = "trials"
SEGMENT_BYTES = 1 << 16
"""Size at which a segment is full: what is not full is written again with each event."""
CHECK_S = 1.0
"""How often a driver looks whether it is still the newest."""

_DRIVER = re.compile(r"drivers/(\d{4,})\.json", re.ASCII)
_SEGMENT = re.compile(r"log/(\d{4,})-(\d{6,})\.jsonl", re.ASCII)


class SweepDirectory:
    """The objects of one sweep.

    Args:
        storage: Its folder.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    @property
    def uri(self) -> str:
        """Where the sweep is, as a person would write it."""
        return self.storage.uri

    @property
    def trials(self) -> str:
        """The folder of the trials' runs."""
        return f"{self.uri.rstrip('/')}/{TRIALS}"

    def claim(self, record: Mapping[str, Any]) -> int:
        """Begins the next driver, and gives its number; from here on, older ones are fenced off."""
        newest = max(self._drivers(), default=0)
        for number in itertools.count(newest + 1):
            try:
                self.storage.create(_driver_key(number), _encode(record))
            except AlreadyExistsError:
                continue
            self.storage.clean("log/")
            return number
        raise AssertionError("itertools.count ended")

    def is_newest(self, driver: int) -> bool:
        """Whether no other driver has begun after this one."""
        return not self.storage.exists(_driver_key(driver + 1))

    def read(self) -> list[Event]:
        """The log.

        Raises:
            OutputError: it is damaged.
        """
        events: list[Event] = []
        trials, gap = 0, ""
        for entry in self.storage.list("log/"):
            if _SEGMENT.fullmatch(entry.key) is None:
                continue
            for number, line in enumerate(self.storage.read(entry.key).splitlines(), 1):
                try:
                    event = event_of(json.loads(line))
                except (ValueError, TypeError, KeyError) as error:
                    raise OutputError(
                        f"line {number} is not an event of a sweep",
                        where=f"{self.uri}/{entry.key}",
                        remedy="Restore the file, or sweep again under another name.",
                    ) from error
                if isinstance(event, Began):
                    if event.after > len(events):
                        raise self._gap(entry.key)
                    del events[event.after :]
                    trials = sum(isinstance(one, Proposed) for one in events)
                elif isinstance(event, Proposed):
                    trials += 1
                elif event.trial >= trials:
                    gap = gap or entry.key
                events.append(event)
        if gap:
            raise self._gap(gap)
        return events

    def _gap(self, key: str) -> OutputError:
        return OutputError(
            "events before this file are missing",
            where=f"{self.uri}/{key}",
            remedy="Restore the files of the folder log/, or sweep again under another name.",
        )

    def read_known(self) -> list[Event]:
        """The log of a sweep that is there.

        Raises:
            InputError: there is no sweep.
            OutputError: its log is damaged, or does not begin with the sweep.
        """
        events = self.read()
        if not events:
            raise InputError(
                "there is no sweep", where=self.uri, remedy="Give the directory of a sweep: sweeps/NAME."
            )
        if newest_sweep(events) is None:
            raise OutputError(
                "the log does not begin with its sweep",
                where=self.uri,
                remedy="Sweep again under another name.",
            )
        return events

    def write_summary(self, document: Mapping[str, Any]) -> None:
        """Replaces summary.json."""
        self.storage.write(SUMMARY, _encode(document))

    def _drivers(self) -> list[int]:
        found = (_DRIVER.fullmatch(entry.key) for entry in self.storage.list("drivers/"))
        return [int(match[1]) for match in found if match]


class Log:
    """Writes the events of one driver.

    Args:
        directory: Of the sweep.
        driver: The driver's number.
        clock: Seconds that only grow.
    """

    def __init__(
        self, directory: SweepDirectory, driver: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._directory, self._driver, self._clock = directory, driver, clock
        self._segment = 1
        self._lines: list[bytes] = []
        self._bytes = 0
        self._checked = clock()

    def write(self, events: Sequence[Event]) -> None:
        """Writes events; when it returns they are there for good.

        Raises:
            FencedError: a newer driver has taken over.
            OutputError: they cannot be written.
        """
        if not events:
            return
        self._check()
        # What is written at once is there at once: it goes into one segment.
        if self._bytes >= SEGMENT_BYTES:
            self._segment += 1
            self._lines, self._bytes = [], 0
        for event in events:
            self._lines.append(_encode_line(document_of(event)))
            self._bytes += len(self._lines[-1])
        self._put()

    def _put(self) -> None:
        key = f"log/{self._driver:04d}-{self._segment:06d}.jsonl"
        self._directory.storage.write(key, b"".join(self._lines))

    def _check(self) -> None:
        now = self._clock()
        if now - self._checked < CHECK_S:
            return
        self._checked = now
        if not self._directory.is_newest(self._driver):
            raise FencedError(
                "another driver has taken over this sweep",
                where=self._directory.uri,
                remedy="Let that one go on, or stop it first.",
            )


def run_name(number: int) -> str:
    """Name of a trial's job and run; names of jobs begin with a letter."""
    return f"t{number:04d}"


def _driver_key(number: int) -> str:
    return f"drivers/{number:04d}.json"


def _encode(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, indent=1, allow_nan=False).encode() + b"\n"


def _encode_line(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode() + b"\n"
