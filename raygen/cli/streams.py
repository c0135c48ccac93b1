"""Standard output and error as a process may find them: closed, full, without a reader, in an old encoding."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO, cast

BROKEN_PIPE = 141
"""Exit code that shells give to a process that SIGPIPE ended."""


class Stream:
    """A text stream that stays usable when what it leads to is lost: the rest of the text goes nowhere.

    Attributes:
        lost: The error by which it was lost, None as long as it is there.
        raises: Whether that error is raised too, for a verb that has nothing else to do than to print.
    """

    def __init__(self, inner: TextIO) -> None:
        self._inner = inner
        self._block()
        self.lost: OSError | None = None
        self.raises = False

    def write(self, text: str) -> int:
        """Writes all of the text; returns its length."""
        try:
            self._inner.write(text)
        except OSError as error:
            self._lose(error)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Writes the lines."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Hands on what was written."""
        try:
            self._inner.flush()
        except OSError as error:
            self._lose(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def _block(self) -> None:
        """Undoes what a program that shares this terminal or pipe may have done: a slow reader is not a lost one."""
        with suppress(OSError, AttributeError):
            os.set_blocking(self._inner.fileno(), True)

    def _lose(self, error: OSError) -> None:
        if isinstance(error, BlockingIOError) and self.lost is None:
            self._block()
            self.flush()
            return
        self.lost = self.lost or error
        # Text that is still in buffers, here and in C libraries, would fail again when the process ends.
        with suppress(OSError), Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), self._inner.fileno())
        if self.raises:
            raise error


class Streams:
    """The two streams of a process.

    Attributes:
        out: stdout.
        err: stderr.
    """

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self.out, self.err = Stream(out), Stream(err)

    def code(self, code: int, *, shows: bool) -> int:
        """The exit code of a verb, after everything that it prints.

        Args:
            code: What it would be if all was printed.
            shows: Whether printing was all that it did: then the loss of stdout is a failure. Otherwise the code says how
                the verb ended, whether anybody reads it or not.
        """
        self.out.raises = False
        self.out.flush()
        if self.out.lost is None:
            return code
        if isinstance(self.out.lost, BrokenPipeError):
            return BROKEN_PIPE if shows and not code else code
        # The message of an OSError may hold a path; its meaning is enough.
        kind = "error" if shows and not code else "warning"
        print(f"{kind}: stdout cannot be written: {self.out.lost.strerror}", file=sys.stderr)
        return 1 if shows and not code else code


@contextmanager
def lasting_streams() -> Iterator[Streams]:
    """Within it, sys.stdout and sys.stderr print whatever they are given, escaped where their encoding lacks a character,
    and no loss of them is an error, unless a stream's `raises` says so.
    """
    _open_closed()
    before = sys.stdout, sys.stderr
    streams = Streams(_opened(before[0], 1), _opened(before[1], 2))
    with _escaping(streams.out), _escaping(streams.err):
        sys.stdout, sys.stderr = cast("TextIO", streams.out), cast("TextIO", streams.err)
        try:
            yield streams
        finally:
            streams.out.raises = False
            streams.out.flush()
            streams.err.flush()
            sys.stdout, sys.stderr = before


def _open_closed() -> None:
    """Leads closed standard descriptors to nowhere: the next file that is opened would get their number, and their text."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number is this one, since those below are open.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def _opened(stream: TextIO | None, descriptor: int) -> TextIO:
    """A stream of Python's, which has none where the descriptor was closed."""
    return stream or open(descriptor, "w", encoding="utf-8", closefd=False)


@contextmanager
def _escaping(stream: Stream) -> Iterator[None]:
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is None:
        yield
        return
    before = stream.errors
    reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        with suppress(OSError, ValueError):
            reconfigure(errors=before)
