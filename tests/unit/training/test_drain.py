from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from raygen.training import drain


class Pod:
    """This process's children, as if they had a namespace of their own, and this process were the first in it."""

    def Process(self, number: int) -> psutil.Process:  # noqa: N802
        assert number == 1
        return psutil.Process()

    def process_iter(self, attributes: list[str]) -> Iterator[psutil.Process]:
        for process in psutil.Process().children():
            process.info = process.as_dict(attributes)  # type: ignore[attr-defined]
            yield process


@pytest.fixture(autouse=True)
def _pod_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("raygen.training.drain.psutil", Pod())


@pytest.fixture
def trainer(tmp_path: Path) -> Iterator[int]:
    """A process with a driver's command line."""
    program = tmp_path / "raygen"
    program.write_text("import sys; sys.stdin.read()")
    with subprocess.Popen(
        [sys.executable, str(program), "train", "job.yaml"], stdin=subprocess.PIPE
    ) as process:
        yield process.pid
        process.kill()


def test_a_pod_in_which_nobody_trains_leaves_at_once() -> None:
    assert not drain.asked()
    assert drain.leave(0.0)
    assert drain.asked()


@pytest.mark.parametrize(
    "age", [drain.HOLD_S + 5, None], ids=["nobody ended it", "of a container before this"]
)
def test_a_mark_of_former_times_says_nothing(age: float | None) -> None:
    drain.leave(0.0)
    mark = drain._folder() / "asked"
    before = time.time() - age if age else psutil.Process().create_time() - 5
    os.utime(mark, (before, before))
    assert not drain.asked()
    drain.leave(0.0)
    assert drain.asked()


def test_answers_of_former_times_do_not_count(trainer: int) -> None:
    drain.leave(0.0)
    Path(drain._folder(), f"left-{trainer}").touch()
    assert not drain.leave(0.0)


def test_a_pod_waits_for_those_that_train_there(trainer: int) -> None:
    assert not drain.leave(0.0)
    answer = Path(drain._folder(), f"left-{trainer}")
    threading.Timer(0.3, answer.touch).start()
    assert drain.leave(30.0)


@pytest.fixture
def raylet(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of that name, which ends by SIGTERM as Ray's does."""
    program = tmp_path / "raylet"
    shutil.copy("/bin/sleep", program)
    with subprocess.Popen([str(program), "60"]) as process:
        yield process
        process.kill()


def test_ray_ends_with_a_pod_that_has_no_driver(raylet: subprocess.Popen[bytes]) -> None:
    assert drain.leave(0.0)
    assert raylet.wait(timeout=30) == -signal.SIGTERM


def test_ray_stays_for_a_driver_that_holds_on(raylet: subprocess.Popen[bytes], trainer: int) -> None:
    assert not drain.leave(0.0)
    assert raylet.poll() is None


def test_holding_on_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[float] = []
    monkeypatch.setattr("time.sleep", held.append)
    drain.leave(0.0)
    drain.hold()
    assert (drain._folder() / f"left-{os.getpid()}").exists()
    assert held == [drain.HOLD_S]
