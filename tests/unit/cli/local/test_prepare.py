from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from raygen.cli.main import main
from tests.jobs import job_document
from tests.prepared import documents, write_lines


def lines_of(base: Path, capsys: pytest.CaptureFixture[str], **changes: Any) -> dict[str, str]:
    """What `raygen prepare` prints, by the names of the lines."""
    defaults: dict[str, Any] = {
        "data__train": {"sources": [{"uri": "lines", "format": "JsonLines"}]},
        "data__tokenizer": {"type": "Byte"},
        "evaluation__samples": None,
        "preparation": {"uri": "prepared"},
    }
    path = base / "job.yaml"
    path.write_text(json.dumps(job_document(**defaults | changes)))
    assert main(["prepare", str(path), "--cores", "1"]) == 0
    return dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if " " in line)


def test_data_without_losses_has_no_lines_of_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_lines(tmp_path / "lines/0.jsonl", documents(300))

    shown = lines_of(tmp_path, capsys)

    assert list(shown) == ["state", "train", "validation", "fingerprint", "data", "card"]


def test_what_was_lost_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = documents(300)
    write_lines(tmp_path / "lines/0.jsonl", [*texts, texts[7], texts[9], "ab", "cd", "a b c d"])
    with (tmp_path / "lines/0.jsonl").open("a") as file:
        file.write('no\n{"id": 1}\n')
    cleaning = {
        "maxBrokenShare": 0.1,
        "text": {"minCharacters": 5, "minWords": 5, "duplicates": {"type": "MinHash"}},
    }

    shown = lines_of(tmp_path, capsys, data__cleaning=cleaning)

    assert shown["broken"] == "1 of 306 records"
    assert "minCharacters 2" in shown["left"]
    assert "minWords " in shown["left"]
    assert int(shown["duplicates"].split()[0]) >= 2
    assert shown["remarks"] == "1 on what was skipped or converted; the card has them"
    assert shown["certificate"].startswith("holds")


def test_of_a_damaged_file_it_is_told_about_how_much_was_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_lines(tmp_path / "lines/0.jsonl", documents(300))
    (tmp_path / "lines/1.jsonl").write_bytes(gzip.compress(b'{"text": "one"}\n' * 100)[:-12])

    shown = lines_of(tmp_path, capsys, data__cleaning={"maxBrokenShare": 0.9})

    assert re.fullmatch(r"about \d+ of \d+ records", shown["broken"])


def test_in_a_pod_what_it_printed_is_kept_with_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_lines(tmp_path / "lines/0.jsonl", documents(20))
    sources = {"sources": [{"uri": "nowhere.jsonl", "format": "JsonLines"}]}
    path = tmp_path / "job.yaml"
    job = job_document(
        data__train=sources,
        data__tokenizer={"type": "Byte"},
        evaluation__samples=None,
        preparation={"uri": "prepared"},
        output={"uri": str(tmp_path / "runs"), "run": "later"},
    )
    path.write_text(json.dumps(job))

    done = subprocess.run(
        [sys.executable, "-m", "raygen", "prepare", str(path), "--cores", "1"],
        env=os.environ | {"KUBERNETES_SERVICE_HOST": "127.0.0.1"},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 2
    assert "nowhere.jsonl" in done.stderr
    assert main(["logs", str(tmp_path / "runs" / "later"), "--attempt", "0"]) == 0
    assert "nowhere.jsonl" in capsys.readouterr().out
