"""The example of docs/memorisation.md finds what it says."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[4] / "docs/memorisation.md"


def test_the_example_of_the_page_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    path = tmp_path / "example.py"
    path.write_text(program)
    found = runpy.run_path(str(path))
    assert capsys.readouterr().out == "True True [0, 1, 2, 3, 4]\n"
    assert found["png"].startswith(b"\x89PNG")
