"""The examples of docs/human-ratings.md, one after the other, with ratings by two people."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[4] / "docs" / "human-ratings.md"


def test_the_examples_of_the_page_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    gallery, blind, reading = re.findall(
        r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    for program in (gallery, blind):
        exec(compile(program, PAGE.name, "exec"), {})  # noqa: S102 (our own page)
    assert "step 2,000" in Path("gallery.html").read_text(encoding="utf-8")
    key = json.loads(Path("compare.key.json").read_text(encoding="utf-8"))
    # Both prefer the large model for the first pair, and differ about the second one.
    for name, preferred in (("ada", ("gpt-large", "gpt-large")), ("bo", ("gpt-large", "gpt-small"))):
        answers = [
            {"pair": pair["pair"], "choice": "left" if pair["left"] == model else "right"}
            for pair, model in zip(key["pairs"], preferred, strict=True)
        ]
        document = {
            "format": "raygen ratings",
            "version": 1,
            "page": key["page"],
            "rater": name,
            "answers": answers,
        }
        Path(f"ratings-{name}.json").write_text(json.dumps(document))
    exec(compile(reading, PAGE.name, "exec"), {})  # noqa: S102 (our own page)
    first, second_line, both, sides = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"gpt-large \+\d\.\d\d \([+-]\d\.\d\d to [+-]\d\.\d\d, 4 comparisons\)", first)
    assert second_line.startswith("gpt-small -")
    assert both == "ada and bo: 50% the same, of 2 pairs"
    assert "'ada'" in sides
