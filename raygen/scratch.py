"""Temporary folders that are deleted even when the process that needs them is killed and has no last word.

    python -m raygen.scratch FOLDER

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

from raygen.errors import InputError

FALLBACKS = ("/tmp", "/var/tmp")  # noqa: S108 (what is made there has a random name and is the user's alone)
"""Where temporary folders go if their usual place has too long a path."""
VARIABLES = ("TMPDIR", "TEMP", "TMP")
"""What names the usual place; the first that is set wins (`tempfile`)."""

GRACE_S = 5.0
"""How long Ray's processes have to end by themselves, as most do without their parent."""
POLL_S = 0.2


@contextmanager
def scratch(longest: int | None = None) -> Iterator[Path]:
    """A temporary folder, swept on leaving, or if this process dies.

    Args:
        longest: The most bytes that its path may have. Where the usual place has a longer one, another is taken.

    Raises:
        InputError: No folder can be made.
    """
    folder, janitor = _watched(longest)
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


def _watched(longest: int | None = None) -> tuple[Path, subprocess.Popen[bytes]]:
    folder = _made(longest)
    janitor = subprocess.Popen(  # noqa: S603 (nothing foreign in the command)
        # Without -P, modules in the working directory would come before those of their names.
        [sys.executable, "-P", "-m", "raygen.scratch", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # Ctrl-C in a terminal is for this process alone.
        start_new_session=True,
    )
    return folder, janitor


def variable() -> str:
    """The environment variable that names the place of temporary folders."""
    return next((name for name in VARIABLES if os.environ.get(name)), VARIABLES[0])


def _made(longest: int | None) -> Path:
    faults: list[str] = []
    try:
        places = [tempfile.gettempdir(), *(FALLBACKS if longest is not None else ())]
    except FileNotFoundError as error:
        raise InputError(
            f"there is no place for temporary files: {error.strerror}",
            where=variable(),
            remedy="Set it to a folder that exists and that you may write to.",
        ) from error
    for place in places:
        try:
            folder = Path(tempfile.mkdtemp(prefix="raygen-", dir=place))
        except OSError as error:
            faults.append(f"{place}: {error.strerror}")
            continue
        if longest is None or len(os.fsencode(folder)) <= longest:
            return folder
        folder.rmdir()
        faults.append(f"{place}: its path is too long")
    raise InputError(
        f"no temporary folder can be made: {'; '.join(faults)}",
        where=variable(),
        remedy="Set it to a folder that you may write to"
        + (
            "."
            if longest is None
            else f", with a path of at most {longest - len('/raygen-12345678')} characters."
        ),
    )


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
