"""The examples of docs/moderation.md, as they stand there, and its tables of what is found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from raygen.moderation.filters.words import Words
from raygen.moderation.red_team import RedTeam

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "moderation.md").read_text(encoding="utf-8")
CLASSIFIER = """
def probabilities(texts):
    return [{"Shouting": float(text.isupper())} for text in texts]
"""


def test_the_example_prints_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = re.findall(r"^```yaml (\S+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert [name for name, _ in files] == ["template.yaml", "policy.yaml"]
    for name, content in files:
        (tmp_path / name).write_text(content, encoding="utf-8")
    (tmp_path / "shouting.py").write_text(CLASSIFIER)
    monkeypatch.chdir(tmp_path)
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (printed,) = re.findall(r"^```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    exec(compile(program, "docs/moderation.md", "exec"), {})  # noqa: S102 (our own page)
    assert capsys.readouterr().out == printed


def test_the_table_of_disguises_is_so() -> None:
    words = Words(["zorkle"])
    rows = re.findall(r"^\| (`.*?) \| (yes|no) \|", PAGE, re.MULTILINE)
    assert len(rows) >= 8
    for cells, expected in rows:
        for text in re.findall(r"`([^`]+)`", cells):
            assert bool(words.find(text)) is (expected == "yes"), text


def test_the_packaged_set_has_the_size_that_the_page_says() -> None:
    assert f"asks a model {len(RedTeam.of_file().prompts)} packaged prompts" in PAGE
