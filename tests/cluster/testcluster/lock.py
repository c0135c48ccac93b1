"""Files that one process at a time holds; whoever waits for one is told which process has it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testcluster.console import ClusterError, step


@contextmanager
def waited_for(path: Path, work: str) -> Iterator[None]:
    """Holds a lock; waits for it as long as it takes, and says for whom.

    Args:
        path: The lock's file.
        work: What the holder does, as "builds etcd".
    """
    with _opened(path) as file:
        if not _try(file):
            with step(f"wait for {holder(path)}, which {work}"):
                fcntl.flock(file, fcntl.LOCK_EX)
        with _signed(file):
            yield


@contextmanager
def taken(path: Path, work: str) -> Iterator[None]:
    """Holds a lock that is free.

    Args:
        path: The lock's file.
        work: What a holder does.

    Raises:
        ClusterError: Another process holds it.
    """
    with _opened(path) as file:
        if not _try(file):
            raise ClusterError(f"{holder(path)} {work}\nWait for it to end.")
        with _signed(file):
            yield


def holder(path: Path) -> str:
    """The process that holds a lock, as it has signed."""
    number = path.read_text().strip()
    return f"process {number}" if number else "another process"


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    # Its content is the holder's, and stays. What this process starts does not inherit it.
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield file
    finally:
        os.close(file)


def _try(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _signed(file: int) -> Iterator[None]:
    os.ftruncate(file, 0)
    os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
    try:
        yield
    finally:
        os.ftruncate(file, 0)
