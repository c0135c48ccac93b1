"""Runs tools/generate.py on a copy of its outputs."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "generate.py"


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    return module


def run(tool: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["generate.py", *arguments])
    code = tool.main()
    assert isinstance(code, int)
    return code


def test_committed_files_are_up_to_date(tool: ModuleType) -> None:
    for path, text in tool.generated().items():
        assert (TOOL.parents[1] / path).read_text(encoding="utf-8") == text, "run: make generate"


def test_check_says_what_differs_and_writes_nothing(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tool, monkeypatch) == 0
    assert run(tool, monkeypatch, "--check") == 0
    changed = tmp_path / "docs/reference/trainingjob.md"
    changed.write_text(changed.read_text(encoding="utf-8") + "one line more\n", encoding="utf-8")
    assert run(tool, monkeypatch, "--check") == 1
    said = capsys.readouterr().err
    assert "docs/reference/trainingjob.md is out of date, 1 lines differ" in said
    assert "one line more" in said
    assert changed.read_text(encoding="utf-8").endswith("one line more\n")
    (tmp_path / "schemas/trainingjob.json").unlink()
    assert run(tool, monkeypatch, "--check") == 1
