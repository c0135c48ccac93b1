"""The example of docs/extractors.md, as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).resolve().parents[4] / "docs" / "extractors.md").read_text()


def test_the_example_of_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    exec(compile(program, "docs/extractors.md", "exec"), {})  # noqa: S102 (our own page)
    told, same, other = capsys.readouterr().out.splitlines()
    assert int(told.partition("%")[0]) >= 97
    assert told.endswith("% of 180 held-out images are told")
    distances = [float(line.rpartition(" ")[2]) for line in (same, other)]
    assert same.startswith("FrechetDistance[digits] of other digits: ")
    assert distances[0] * 3 < distances[1]
