from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from raygen.cli.interrupts import unwound

# Swallows an interruption as libraries do, once somebody has opened the other end of the pipe. It does not wait in a read:
# Python would not hear of a signal that comes between its last look and the system call.
BLOCKING = """
import time
try:
    opened = open({fifo!r})
    while True:
        time.sleep(0.01)
except BaseException as error:
    raise ImportError("initialization failed") from error
"""


@pytest.mark.parametrize(
    ("blocking", "arguments", "code"),
    [
        ("argparse", ["plan", "job.yaml"], 130),
        ("argparse", ["train", "job.yaml"], 3),
        ("torch", ["export", "run", "folder"], 130),
    ],
)
def test_an_import_that_is_interrupted_leaves_no_traceback(
    tmp_path: Path, blocking: str, arguments: list[str], code: int
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    (tmp_path / f"{blocking}.py").write_text(BLOCKING.format(fifo=str(fifo)), encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "raygen", *arguments]
    environment = {**os.environ, "PYTHONPATH": path}
    with (
        subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process,
        fifo.open("w"),
    ):
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert process.stderr.read() == "interrupted\n"
        assert process.wait(timeout=30) == code


def interrupted_while_it_cleans_up(cleaned: list[str]) -> None:
    with unwound():
        try:
            os.kill(os.getpid(), signal.SIGINT)
        finally:
            cleaned.append("up")


def failing(*, interrupted: bool) -> None:
    with unwound():
        if interrupted:
            with suppress(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
        raise ImportError("initialization failed")


def test_what_has_to_be_cleaned_up_is_unwound() -> None:
    cleaned: list[str] = []
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        interrupted_while_it_cleans_up(cleaned)
    assert cleaned == ["up"]
    assert signal.getsignal(signal.SIGINT) == before


def test_an_interruption_that_a_library_reports_as_its_own_failure_is_one() -> None:
    with pytest.raises(KeyboardInterrupt):
        failing(interrupted=True)
    with pytest.raises(ImportError):
        failing(interrupted=False)


def test_a_second_interruption_ends_at_once() -> None:
    script = (
        "import os, signal\n"
        "from raygen.cli.interrupts import unwound\n"
        "with unwound():\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "    finally:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "        print('cleaned up')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


def test_a_process_in_the_background_goes_on_ignoring_the_keyboard() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with unwound():
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
