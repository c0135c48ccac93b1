"""What a process prints, kept in the run directory: pods and their logs go, the run stays.

    logs/003-driver-00001.jsonl     JSON lines in numbered segments of one attempt and one process
    logs/003-rank0-00001.jsonl

Each line: {"time", "job", "attempt", "rank", "stream", "text"}; the driver has no rank. What prepared the data, before any attempt of the run,
is attempt 0.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import select
import struct
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from raygen.errors import RaygenError
from raygen.storage import Storage

FLUSH_SECONDS = 5.0
"""Between two segments, and so what a process that is killed may lose."""
MAX_BYTES = 64 << 20
"""Of text of one process that are kept; what comes after is printed all the same."""
MAX_PENDING = 4 << 20
"""Of text that waits for a storage that takes none."""
PIPE_BYTES = 1 << 20
"""Room for what is printed while the thread that copies it cannot run."""
DRAIN_SECONDS = 2.0
PREPARATION_ATTEMPT = 0
PODS = "KUBERNETES_SERVICE_HOST"
"""In the environment of every pod. Elsewhere a person has a terminal, which keeps what was printed."""

_SEGMENT = re.compile(r"logs/(\d{3,})-(driver|rank\d+)-(\d{5,})\.jsonl", re.ASCII)

Line = tuple[float, str, str]
"""Unix seconds, stream, text."""


class KeptLogs:
    """Copies stdout and stderr of this process on their way, from `begin` to `end`.

    Until `attach` says where the run is, lines wait. No fault of storage reaches the process that prints.

    Args:
        job: The job's name.
        rank: This worker's; None for the driver.
        clock: Unix seconds.
    """

    def __init__(self, job: str, rank: int | None = None, clock: Callable[[], float] = time.time) -> None:
        self._head = {"job": job, "rank": rank}
        self._process = "driver" if rank is None else f"rank{rank}"
        self._clock = clock
        self._lines: list[Line] = []
        self._pending = self._kept = 0
        self._adding, self._flushing = threading.Lock(), threading.Lock()
        self._storage: Storage | None = None
        self._attempt = self._segment = 0
        self._streams: list[_Stream] = []
        self._ended = threading.Event()
        self._flusher = threading.Thread(target=self._flush_often, name="logs", daemon=True)

    def attach(self, storage: Storage, attempt: int) -> None:
        """Says where the run is, and which attempt this is."""
        with suppress(RaygenError):
            # A worker may be started anew in the same attempt.
            found = [match for entry in storage.list("logs/") if (match := _SEGMENT.fullmatch(entry.key))]
            own = [int(one[3]) for one in found if (int(one[1]), one[2]) == (attempt, self._process)]
            self._segment = max(own, default=0)
        self._attempt, self._storage = attempt, storage

    def add(self, stream: str, text: str) -> None:
        """Takes a line."""
        with self._adding:
            if self._kept >= MAX_BYTES or self._pending >= MAX_PENDING:
                return
            self._pending += len(text)
            self._kept += len(text)
            self._lines.append((self._clock(), stream, text))
            if self._kept >= MAX_BYTES:
                self._lines.append(
                    (self._clock(), "stderr", f"raygen keeps no more than {MAX_BYTES} bytes of this process")
                )

    def flush(self) -> None:
        """Writes what has been gathered, if anything, and if storage takes it."""
        with self._flushing:
            with self._adding:
                lines = tuple(self._lines)
            if not lines or self._storage is None:
                return
            key = f"logs/{self._attempt:03d}-{self._process}-{self._segment + 1:05d}.jsonl"
            try:
                self._storage.write(key, b"".join(map(self._spelled, lines)))
            except RaygenError:
                return
            self._segment += 1
            with self._adding:
                del self._lines[: len(lines)]
                self._pending = sum(len(text) for _, _, text in self._lines)

    def begin(self) -> None:
        """Begins to copy."""
        self._streams = [_Stream(1, "stdout", self.add), _Stream(2, "stderr", self.add)]
        self._flusher.start()

    def end(self) -> None:
        """Writes out what there is, and copies no more."""
        if not self._streams:
            return
        for stream in self._streams:
            stream.end()
        self._ended.set()
        self._flusher.join()
        self.flush()

    def _flush_often(self) -> None:
        while not self._ended.wait(FLUSH_SECONDS):
            self.flush()

    def _spelled(self, line: Line) -> bytes:
        stamp = datetime.fromtimestamp(line[0], UTC).isoformat(timespec="milliseconds")
        document = {"time": stamp, **self._head, "attempt": self._attempt, "stream": line[1], "text": line[2]}
        return json.dumps(document, ensure_ascii=False).encode(errors="replace") + b"\n"


class _Stream:
    """One descriptor whose text goes through a pipe, to where it went before and to `add` by lines."""

    def __init__(self, descriptor: int, name: str, add: Callable[[str, str], None]) -> None:
        self._descriptor, self._name, self._add = descriptor, name, add
        _flush_python()
        self._before = os.dup(descriptor)
        self._read, write = os.pipe()
        with suppress(OSError):
            fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        os.dup2(write, descriptor)
        os.close(write)
        self._busy = threading.Lock()
        self._rest = b""
        # Children may print after the end of this; their text still has a way.
        threading.Thread(target=self._copy, name=f"logs-{name}", daemon=True).start()

    def end(self) -> None:
        """Puts the descriptor back, and takes what is under way."""
        _flush_python()
        os.dup2(self._before, self._descriptor)
        deadline = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < deadline:
            with self._busy:
                (waiting,) = struct.unpack("i", fcntl.ioctl(self._read, termios.FIONREAD, b"\0" * 4))
            if not waiting:
                break
            time.sleep(0.005)
        with self._busy:
            if self._rest:
                self._add(self._name, self._rest.decode(errors="replace"))
                self._rest = b""

    def _copy(self) -> None:
        text = select.poll()
        text.register(self._read, select.POLLIN)
        while True:
            # Nobody else reads, so what is there stays there until the lock is had.
            text.poll()
            with self._busy:
                chunk = os.read(self._read, 65_536)
                if not chunk:
                    return
                _write_all(self._before, chunk)
                *lines, self._rest = (self._rest + chunk).split(b"\n")
                for line in lines:
                    self._add(self._name, line.decode(errors="replace"))


def _flush_python() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()


def _write_all(descriptor: int, chunk: bytes) -> None:
    view = memoryview(chunk)
    with suppress(OSError):
        while view:
            view = view[os.write(descriptor, view) :]


def kept(
    storage: Storage, attempt: int | None = None, read: set[str] | None = None
) -> Iterator[dict[str, Any]]:
    """The lines of an attempt, of all its processes by time.

    Args:
        storage: The run's own folder.
        attempt: Its number. Default: the newest that left any.
        read: Keys of segments that are left out; those that are read are added.
    """
    found = [match for entry in storage.list("logs/") if (match := _SEGMENT.fullmatch(entry.key))]
    newest = max((int(match[1]) for match in found), default=0) if attempt is None else attempt
    lines: list[dict[str, Any]] = []
    read = set() if read is None else read
    for match in sorted(found, key=lambda match: match[0]):
        if int(match[1]) == newest and match[0] not in read:
            lines.extend(_read(storage.read(match[0])))
            read.add(match[0])
    yield from sorted(lines, key=lambda line: str(line.get("time", "")))


def _read(text: bytes) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        with suppress(ValueError):
            document = json.loads(line)
            if isinstance(document, Mapping):
                yield dict(document)
