"""What `make cluster-up` says while it works and while it waits, so that nobody takes it for hung."""

from __future__ import annotations

import io
import os
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from testcluster import console, lock, tools
from testcluster.console import ClusterError, step

TIMEOUT = 30.0


class Heard(io.StringIO):
    """What is said, which others wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.terminal, self._news = False, threading.Condition()

    def isatty(self) -> bool:
        return self.terminal

    def flush(self) -> None:
        with self._news:
            self._news.notify_all()

    def wait_for(self, is_there: Callable[[str], bool]) -> None:
        with self._news:
            assert self._news.wait_for(lambda: is_there(self.getvalue()), TIMEOUT), self.getvalue()


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Heard:
    """What the console says. pytest puts a stream of its own in place of stderr after this, so it is the console's alone."""
    found = Heard()
    monkeypatch.setattr(console, "sys", SimpleNamespace(stderr=found))
    return found


def test_a_step_says_that_it_begins_before_it_does_anything(heard: Heard) -> None:
    with step("build etcd", "from Go modules"):
        assert heard.getvalue() == "build etcd ... (from Go modules)\n"
    assert re.fullmatch(r"build etcd {49}[ 0-9.]{7} s", heard.getvalue().splitlines()[1])


def test_a_long_step_says_now_and_then_that_it_goes_on(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    assert console.HEARTBEAT_SECONDS == 30
    monkeypatch.setattr(console, "HEARTBEAT_SECONDS", 0.001)
    with step("build kubernetes"):
        heard.wait_for(lambda text: text.count("so far") >= 2)
    lines = heard.getvalue().splitlines()
    assert re.fullmatch(r"build kubernetes \.\.\. \d+ s so far", lines[1])
    assert sum("so far" not in line for line in lines) == 2, "the first and the last"
    assert lines[-1].endswith(" s")


def test_on_a_terminal_a_step_keeps_to_its_line(heard: Heard) -> None:
    heard.terminal = True
    with step("start node-1"):
        pass
    assert heard.getvalue().count("\n") == 1
    assert heard.getvalue().startswith("\x1b[Kstart node-1 ...\r\x1b[Kstart node-1  ")


def test_a_step_that_fails_says_so_and_after_how_long(heard: Heard) -> None:
    with pytest.raises(ClusterError), step("build etcd"):
        raise ClusterError("no module")
    assert "build etcd" in heard.getvalue().splitlines()[-1]
    assert "failed after" in heard.getvalue().splitlines()[-1]
    assert not [thread for thread in threading.enumerate() if thread.name == "step"]


def test_whoever_waits_for_a_build_is_told_which_process_has_it(
    heard: Heard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "BINARIES", tmp_path)
    monkeypatch.setattr(tools, "GO", Path(sys.executable))
    made: list[str] = []

    def compile_nothing(go: str, tool: tools.Tool, temporary: Path) -> None:
        made.append(tool.folder)
        (temporary / "bin").mkdir()

    monkeypatch.setattr(tools, "_compile", compile_nothing)
    tool, path = tools.Tool("etcd", ("etcd",)), tmp_path / "etcd.lock"
    building = threading.Thread(target=tools.build, args=(tool,))
    # A lock is of an open file, so a thread waits as another process would.
    with lock.taken(path, "tests"):
        building.start()
        heard.wait_for(lambda text: f"wait for process {os.getpid()}, which builds etcd ..." in text)
        assert not made
        refused = pytest.raises(ClusterError, match=f"process {os.getpid()} is at work")
        with refused, lock.taken(path, "is at work"):
            pass
    building.join(TIMEOUT)
    assert made == ["etcd"]
    assert "build etcd ... (from Go modules; some minutes)" in heard.getvalue()
    heard.truncate(0)
    tools.build(tool)
    assert heard.getvalue() == "", "what is built is there at once"


def test_a_lock_whose_holder_has_not_signed_is_another_process_s(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    assert lock.holder(path) == "another process"
    with lock.taken(path, "tests"):
        assert lock.holder(path) == f"process {os.getpid()}"
    assert path.read_text() == "", "it is nobody's"
