"""What a process prints is in the run afterwards, and was printed all the same."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from raygen.errors import OutputError
from raygen.run.logs import MAX_BYTES, KeptLogs, kept
from raygen.storage import LocalStorage

PROGRAM = """
import os, subprocess, sys
from pathlib import Path
from raygen.storage import LocalStorage
from raygen.run.logs import KeptLogs

logs = KeptLogs("tiny", {rank})
logs.begin()
print("before the run is known")
logs.attach(LocalStorage(Path(sys.argv[1])), 3)
print("on stdout: café \\U0001f600")
sys.stderr.write("on stderr\\n")
os.write(1, b"by the descriptor\\n")
subprocess.run([sys.executable, "-c", "print('by a child')"], check=True)
{more}
sys.stdout.write("half a line")
logs.end()
print("after the end")
"""


def run(folder: Path, more: str = "", rank: int | None = None) -> subprocess.CompletedProcess[str]:
    text = PROGRAM.format(more=more, rank=rank)
    return subprocess.run(
        [sys.executable, "-c", text, str(folder)], capture_output=True, text=True, timeout=60, check=True
    )


def test_what_is_printed_is_kept_and_printed(tmp_path: Path) -> None:
    done = run(tmp_path)
    printed = [
        "before the run is known",
        "on stdout: café \U0001f600",
        "by the descriptor",
        "by a child",
        "half a lineafter the end",
    ]
    assert done.stdout.splitlines() == printed
    assert done.stderr == "on stderr\n"
    lines = list(kept(LocalStorage(tmp_path)))
    assert {line["text"] for line in lines} == {*printed[:4], "half a line", "on stderr"}
    assert [line["text"] for line in lines if line["stream"] == "stdout"] == [*printed[:4], "half a line"]
    assert {(line["job"], line["attempt"], line["rank"]) for line in lines} == {("tiny", 3, None)}
    assert [path.name for path in (tmp_path / "logs").iterdir()] == ["003-driver-00001.jsonl"]


def test_a_lot_is_kept_in_order_and_nothing_waits(tmp_path: Path) -> None:
    done = run(tmp_path, "for number in range(50_000): print('line', number)")
    assert len(done.stdout.splitlines()) == 50_005
    numbers = [line["text"] for line in kept(LocalStorage(tmp_path)) if line["text"].startswith("line ")]
    assert numbers == [f"line {number}" for number in range(50_000)]


def test_a_worker_that_is_started_anew_goes_on_after_its_lines(tmp_path: Path) -> None:
    for _ in range(2):
        run(tmp_path, rank=1)
    names = sorted(path.name for path in (tmp_path / "logs").iterdir())
    assert names == ["003-rank1-00001.jsonl", "003-rank1-00002.jsonl"]
    assert sum(line["text"] == "on stderr" for line in kept(LocalStorage(tmp_path))) == 2


def test_a_process_that_is_killed_has_left_what_it_printed_seconds_before(tmp_path: Path) -> None:
    program = PROGRAM.format(more="import signal; sys.stdout.flush(); signal.pause()", rank=None)
    program = program.replace(
        "logs = KeptLogs", "import raygen.run.logs as module\nmodule.FLUSH_SECONDS = 0.05\nlogs = KeptLogs"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 60
        while not any(line["text"] == "by a child" for line in kept(LocalStorage(tmp_path))):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.kill()
    assert any(line["text"] == "on stderr" for line in kept(LocalStorage(tmp_path)))


class Failing(LocalStorage):
    def write(self, key: str, data: object) -> None:
        raise OutputError("the disk is full")


def test_a_storage_that_takes_nothing_harms_nobody(tmp_path: Path) -> None:
    logs = KeptLogs("tiny")
    logs.attach(Failing(tmp_path), 1)
    for number in range(3):
        logs.add("stdout", str(number))
        logs.flush()
    logs.attach(LocalStorage(tmp_path), 1)
    logs.flush()
    assert [line["text"] for line in kept(LocalStorage(tmp_path))] == ["0", "1", "2"]


def test_a_process_that_prints_without_end_fills_no_storage(tmp_path: Path) -> None:
    logs = KeptLogs("tiny")
    logs.attach(LocalStorage(tmp_path), 1)
    for _ in range(MAX_BYTES // (1 << 20) + 8):
        logs.add("stdout", "x" * (1 << 20))
        logs.flush()
    lines = list(kept(LocalStorage(tmp_path)))
    assert sum(len(line["text"]) for line in lines) < MAX_BYTES + 200
    assert lines[-1]["text"] == f"raygen keeps no more than {MAX_BYTES} bytes of this process"


def test_an_attempt_can_be_chosen_and_damage_is_passed_over(tmp_path: Path) -> None:
    for attempt in (1, 2):
        logs = KeptLogs("tiny", clock=lambda: 0.0)
        logs.attach(LocalStorage(tmp_path), attempt)
        logs.add("stdout", f"of {attempt}")
        logs.flush()
    (tmp_path / "logs" / "002-driver-00002.jsonl").write_text(
        "torn\n" + json.dumps({"text": "whole"}) + "\n[]\n"
    )
    assert [line["text"] for line in kept(LocalStorage(tmp_path))] == ["whole", "of 2"]
    assert [line["text"] for line in kept(LocalStorage(tmp_path), 1)] == ["of 1"]
    assert list(kept(LocalStorage(tmp_path), 7)) == []


@pytest.mark.parametrize("text", ["\ud800", "\x00", "a\rb"])
def test_any_text_is_a_line_of_json(tmp_path: Path, text: str) -> None:
    logs = KeptLogs("tiny")
    logs.attach(LocalStorage(tmp_path), 1)
    logs.add("stdout", text)
    logs.flush()
    assert len(list(kept(LocalStorage(tmp_path)))) == 1
