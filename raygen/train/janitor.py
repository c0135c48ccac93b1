"""Temporary folders that are deleted even when the process that needs them is killed and has no last word.

    python -m raygen.train.janitor FOLDER

A process of its own: its standard input is a pipe from the other one, which ends with it. Then it ends the processes
that still have files open in the folder, as some of Ray's do for minutes, and deletes the folder.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

GRACE_S = 5.0
"""How long Ray's processes have to end by themselves, as most do without their parent."""
POLL_S = 0.2


@contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder, swept on leaving, or if this process dies."""
    folder, janitor = _watched()
    try:
        yield folder
    finally:
        # Closes its standard input, and waits for its end.
        janitor.communicate()


def scratch_of_process() -> Path:
    """A temporary folder that is swept when this process ends, however it does."""
    folder, janitor = _watched()
    atexit.register(janitor.communicate)
    return folder


def _watched() -> tuple[Path, subprocess.Popen[bytes]]:
    folder = Path(tempfile.mkdtemp(prefix="raygen-"))
    janitor = subprocess.Popen(  # noqa: S603 (nothing foreign in the command)
        [sys.executable, "-m", "raygen.train.janitor", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # Ctrl-C in a terminal is for this process alone.
        start_new_session=True,
    )
    return folder, janitor


def sweep(folder: Path, spared: Container[int] = (), grace_s: float = GRACE_S) -> None:
    """Ends the processes that have files open in a folder, but for these, and deletes it."""
    deadline = time.monotonic() + grace_s
    while users(folder, spared) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    for process in users(folder, spared):
        try:
            psutil.Process(process).kill()
        except psutil.Error:
            continue
    shutil.rmtree(folder, ignore_errors=True)


def users(folder: Path, spared: Container[int] = ()) -> list[int]:
    """Numbers of the processes that have files open in a folder, but for these.

    Args:
        folder: The folder.
        spared: Numbers of processes that do not count.
    """
    inside = f"{folder.resolve()}/"
    found = []
    for process in psutil.process_iter():
        if process.pid in spared:
            continue
        try:
            paths = [file.path for file in process.open_files()]
        except psutil.Error:
            continue
        if any(path.startswith(inside) for path in paths):
            found.append(process.pid)
    return found


def main() -> None:
    """Waits for the end of the process that started this one, then sweeps."""
    parent = os.getppid()
    sys.stdin.buffer.read()
    sweep(Path(sys.argv[1]), {parent, os.getpid()})


if __name__ == "__main__":
    main()
