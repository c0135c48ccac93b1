"""Folders that go with their process, by real processes and signals."""

from __future__ import annotations

import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from raygen import scratch as module
from raygen.errors import InputError
from raygen.scratch import scratch, sweep

OWNER = """
import sys, time
from raygen.scratch import scratch, scratch_of_process
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
def test_a_folder_goes_with_its_process(killed: bool, tmp_path: Path) -> None:
    # A module of the user's in the working directory is not taken for a library.
    (tmp_path / "psutil.py").write_text("raise ImportError('not this one')")
    with subprocess.Popen(
        [sys.executable, "-P", "-c", OWNER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
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


@pytest.mark.parametrize("longest", [None, 1000, 40])
def test_a_long_path_is_avoided_where_it_matters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, longest: int | None
) -> None:
    usual, short = tmp_path / ("x" * 50), tempfile.mkdtemp(dir="/tmp")
    usual.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(usual))
    monkeypatch.setattr(module, "FALLBACKS", (str(tmp_path / "missing"), short))
    with scratch(longest) as folder:
        assert folder.parent == (Path(short) if longest == 40 else usual)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not list(usual.iterdir())
    Path(short).rmdir()


def test_without_a_short_place_the_variable_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(module, "FALLBACKS", (str(tmp_path / "missing"),))
    with pytest.raises(InputError, match=r"too long; .*missing: No such file") as caught, scratch(30):
        pass
    assert caught.value.where == "TMPDIR"
    assert "at most 14 characters" in (caught.value.remedy or "")
    assert not list(tmp_path.iterdir())


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
