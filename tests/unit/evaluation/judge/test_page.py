"""The examples of docs/judge.md, as they stand there, against the fake endpoint."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.unit.evaluation.judge.fake import Body, FakeEndpoint, reply

ROOT = Path(__file__).resolve().parents[4]
PAGE = (ROOT / "docs" / "judge.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def judged(body: Body, number: int) -> str:
    return json.dumps({"better": "A"}) if "ANSWER A" in body["messages"][1]["content"] else reply(4)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_runs(
    fake: FakeEndpoint,
    number: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    fake.reply = judged
    program = EXAMPLES[number].replace("http://localhost:8000/v1", fake.url)
    exec(compile(program, "docs/judge.md", "exec"), {})  # noqa: S102 (our own page)
    assert capsys.readouterr().out.splitlines()


def test_the_page_shows_what_is_there() -> None:
    first = EXAMPLES[0]
    assert 'judge.score(cases, ["Groundedness", "Relevance", "Similarity"])' in first
    assert len(EXAMPLES) == 4
