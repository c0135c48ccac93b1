"""Folders that go with their process, by real processes and signals."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from raygen.train.janitor import scratch, sweep

OWNER = """
import sys, time
from raygen.train.janitor import scratch, scratch_of_process
folder = scratch_of_process()
(folder / "copy").write_text("x")
print(folder, flush=True)
sys.stdin.read()
"""
USER = "import sys, time; file = open(sys.argv[1], 'w'); print('open', flush=True); time.sleep(600)"


def gone(folder: Path) -> bool:
    deadline = time.monotonic() + 30
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return not folder.exists()


@pytest.mark.parametrize("killed", [True, False])
def test_a_folder_goes_with_its_process(killed: bool) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        folder = Path(owner.stdout.readline().strip())
        assert (folder / "copy").exists()
        if killed:
            owner.kill()
        owner.communicate()
    assert gone(folder)


def test_a_folder_is_gone_when_its_context_is_left() -> None:
    with scratch() as folder:
        (folder / "some").mkdir()
        (folder / "some" / "file").write_text("x")
    assert not folder.exists()


def test_processes_that_stay_in_the_folder_are_ended_and_no_others(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "inside-out"
    inside.mkdir()
    outside.mkdir()
    users = [
        subprocess.Popen([sys.executable, "-c", USER, str(folder / "log")], stdout=subprocess.PIPE, text=True)
        for folder in (inside, inside, outside)
    ]
    try:
        for user in users:
            assert user.stdout is not None
            assert user.stdout.readline() == "open\n"
        sweep(inside, {users[1].pid}, grace_s=0.1)
        assert users[0].wait(30) != 0
        assert not inside.exists()
        assert all(psutil.Process(user.pid).is_running() for user in users[1:])
    finally:
        for user in users:
            user.kill()
            user.communicate()
