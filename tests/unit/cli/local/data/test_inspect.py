from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from raygen.cli.main import main
from tests.jobs import job_document, write_images
from tests.unit.data.text.test_documents import write

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    lines = [json.dumps({"id": n, "body": f"text {n}\x1b[2J"}) for n in range(20)]
    write(tmp_path, {"a.jsonl": "\n".join([*lines, "broken"])})
    write_images(tmp_path / "images.parquet")


def inspect(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    assert main(["data", "inspect", *arguments, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_texts_are_shown_with_where_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "inspect", "a.jsonl", "-n", "2"]) == 0
    shown = capsys.readouterr().out

    assert "uri: a.jsonl, format: JsonLines, field: body" in shown
    assert "id (whole number), body (text)" in shown
    assert "\n1 cannot be used:\n  a.jsonl:21: is not a JSON object" in shown
    assert shown.count("--- a.jsonl:") == 2
    assert "\x1b" not in shown


def test_of_a_damaged_file_it_is_told_about_how_much_is_lost(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lines = "".join(json.dumps({"body": f"text {n}"}) + "\n" for n in range(1000))
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(lines.encode())[:-100])
    assert main(["data", "inspect", "b.jsonl.gz"]) == 0
    assert re.search(r"\nabout \d+ cannot be used:\n  b\.jsonl\.gz: ", capsys.readouterr().out)


def test_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    found = inspect(capsys, "a.jsonl")

    assert found["source"] == {"uri": "a.jsonl", "format": "JsonLines", "field": "body"}
    assert (found["contents"], found["records"], found["picture"]) == ("text", 20, None)
    assert len(found["samples"]) == 5
    assert found["samples"][0]["text"].startswith("text ")
    assert found["broken"]["count"] == 1
    assert found["broken"]["examples"][0]["where"] == "a.jsonl:21"


def test_images_are_shown_in_a_picture(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    found = inspect(capsys, "images.parquet")
    assert Path(found["picture"]).parent == tmp_path
    assert Path(found["picture"]).read_bytes().startswith(PNG)
    assert len(found["samples"]) == 36
    assert {one["label"] for one in found["classes"]} == {"0", "1", "2"}

    assert inspect(capsys, "images.parquet", "-n", "4", "--to", "grid.png")["picture"] == "grid.png"
    assert (tmp_path / "grid.png").read_bytes().startswith(PNG)
    assert main(["data", "inspect", "images.parquet", "-n", "1", "--to", "grid.png"]) == 0
    assert "\n1 image: grid.png\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["nowhere"], "no such file or folder"),
        (["a.jsonl", "-n", "0"], "out of bounds"),
        (["a.jsonl", "--split", "test"], "split belongs to format HuggingFace"),
        (["a?b"], "must be a path"),
        (["a.jsonl", "--field", "bdoy"], "has no text under the key 'bdoy'"),
        (["images.parquet", "--to", "no/folder/x.png"], "the picture cannot be written"),
    ],
)
def test_what_cannot_be_shown_is_explained(
    capsys: pytest.CaptureFixture[str], arguments: list[str], shown: str
) -> None:
    error = inspect(capsys, *arguments, code=2)["error"]

    assert shown in error["what"]
    assert error["remedy"]


@pytest.mark.parametrize(
    "uri", ["s3://ID:secret@bucket/x", "https://me:secret@host/x", "s3://bucket/x?X-Amz-Signature=secret"]
)
@pytest.mark.parametrize(
    "command",
    [
        ["data", "inspect"],
        ["data", "verify"],
        ["export", "run"],
        ["plan"],
        ["probe"],
        ["report"],
        ["sample"],
        ["logs"],
        ["train", "job.yaml", "--output"],
    ],
    ids=" ".join,
)
def test_no_error_shows_what_is_secret_in_a_uri(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: list[str], uri: str
) -> None:
    (tmp_path / "job.yaml").write_text(json.dumps(job_document()))

    assert main([*command, uri]) != 0

    printed = "".join(capsys.readouterr())
    assert "..." in printed
    assert "secret" not in printed
