"""A run on Ray's workers that is steered from the process that started it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from raygen.run.directory import RunDirectory
from raygen.storage import open_storage
from tests.jobs import job_document, write_text

PROGRAM = """
import json, sys
import raygen

heard, notices = [], []

class Resumes(raygen.Observer):
    def notice(self, message):
        notices.append(message)
        if message.startswith("paused"):
            control.resume()

def report(step, values):
    heard.append([step, values["loss"]])
    if step == 5:
        control.pause()
    if step == 10:
        control.stop_at(13)

control = raygen.Control(report=report)
document, base = json.loads(sys.argv[1]), sys.argv[2]
result = raygen.train(
    document, base=base, output=base + "/runs", device="cpu", control=control, observer=Resumes()
)
print(json.dumps([result.state, result.reason, result.step, heard, notices, "torch" in sys.modules]))
"""


def test_workers_report_pause_and_stop_at_the_step_that_was_asked_for(tmp_path: Path) -> None:
    write_text(tmp_path / "text.txt")
    document = job_document(evaluation__everySteps=5, scale={"workers": 2, "cpusPerWorker": 1})
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(document), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    state, reason, step, heard, notices, has_torch = json.loads(done.stdout)
    assert (state, reason, step) == ("Stopped", "StopAt", 13)
    assert not has_torch
    assert [at for at, _ in heard] == [5, 10]
    assert all(loss > 0 for _, loss in heard)
    assert [message for message in notices if message.startswith("paused")] == ["paused after step 5"]
    directory = RunDirectory(open_storage(str(tmp_path / "runs")), "tiny")
    assert [line.step for line in directory.read_metrics().lines if line.kind == "train"] == list(
        range(1, 14)
    )
