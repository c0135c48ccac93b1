"""The example of docs/evaluation.md prints what it says."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[4] / "docs/evaluation.md"


def test_the_example_of_the_page_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    path = tmp_path / "example.py"
    path.write_text(program)
    runpy.run_path(str(path))
    assert capsys.readouterr().out.splitlines() == [
        "distinct-2 0.79, self-BLEU 0.000",
        "repetition 0.29",
        "Span(start=0, length=6) new 3-grams 0.67",
    ]
