"""What is kept aside of broken records."""

from __future__ import annotations

import base64
import gzip
import io
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.prepared import digests, documents, prepared, text_job, write_lines

SECRETS = {
    "AKIAIOSFODNN7EXAMPLE": "[SECRET]",
    "GB82WEST12345698765432": "[IBAN]",
    "4111111111111111": "[CARD]",
    "8.8.8.8": "[IP]",
    "+49 170 1234567": "[PHONE]",
    "ann@example.org": "[EMAIL]",
}


def kept(base: Path, **cleaning: Any) -> list[str]:
    """The broken records of `lines/` as they are kept aside."""
    source = {
        "uri": "lines",
        "format": "JsonLines" if list((base / "lines").glob("*.jsonl")) else "Csv",
        "field": "text",
    }
    changes = {"data__train": {"sources": [source]}}
    prepared(text_job(data__cleaning=cleaning | {"maxBrokenShare": 0.9}, **changes), base)
    aside = sorted((base / "prepared" / "quarantine").glob("*.jsonl"))
    lines = [line for path in aside for line in path.read_text().splitlines()]
    return [base64.b64decode(json.loads(line)["content"]).decode() for line in lines]


def write_cut_off(base: Path, *lines: str) -> None:
    """JSON lines, the last ones of which are no whole objects."""
    write_lines(base / "lines" / "a.jsonl", documents(50))
    with (base / "lines" / "a.jsonl").open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


def write_rows(base: Path, *rows: str) -> None:
    """Separated values, the last ones of which are no rows."""
    (base / "lines").mkdir()
    texts = [f'{number},"{text.strip()}"\n' for number, text in enumerate(documents(50))]
    (base / "lines" / "a.csv").write_text("".join(["id,text\n", *texts, *(f"{row}\n" for row in rows)]))


MASKED: dict[str, Any] = {"text": {"masking": {}}}


@pytest.mark.parametrize("escape", [r"\n", r"\t", r"\u000a", r"\""])
@pytest.mark.parametrize("secret", SECRETS)
def test_an_escape_before_a_secret_does_not_hide_it(tmp_path: Path, escape: str, secret: str) -> None:
    write_cut_off(tmp_path, rf'{{"x": "line 0{escape}{secret}\nend"')
    (content,) = kept(tmp_path, **MASKED)
    assert secret not in content
    assert SECRETS[secret] in content
    assert content.endswith('end"')


@pytest.mark.parametrize(
    ("line", "masked"),
    [
        (r'{"x": "password = \"hunter2xyzzy99\" or so"', '{"x": "password = "[SECRET]" or so"'),
        (r'{"x": "{\"api_key\": \"hunter2xyzzy99\"}"', '{"x": "{"api_key": "[SECRET]"}"'),
        (r'{"x": "to jos\u00e9.garc\u00eda@example.org"', '{"x": "to [EMAIL]"'),
        (r'{"x": "\ud83d\ude00 ann@example.org \ud83d"', '{"x": "😀 [EMAIL] ?"'),
        (r'{"x": "\nann@example.org \u00zz \q"', '{"x": "\n[EMAIL] \\u00zz \\q"'),
        (r'{"x": "ann@example.org"', '{"x": "[EMAIL]"'),
        (r'{"x": "", "y": "nothing \"here\"\n"', r'{"x": "", "y": "nothing \"here\"\n"'),
    ],
)
def test_a_cut_off_line_is_masked_as_its_text_would_be(tmp_path: Path, line: str, masked: str) -> None:
    write_cut_off(tmp_path, line)
    assert kept(tmp_path, **MASKED) == [masked]


@pytest.mark.parametrize(
    ("row", "masked"),
    [
        ('7,"password = ""hunter2xyzzy99"" or" so', '7,"password = "[SECRET]" or" so'),
        ('7,"password = ""hunter2xyzzy99""" so', '7,"password = "[SECRET]" so'),
        (
            '7,"{""x"": ""a\\nAKIAIOSFODNN7EXAMPLE"", ""pin"": 1}" so',
            '7,"{"x": "a\n[SECRET]", "pin": 1}" so',
        ),
        # The backslashes are those of the text.
        (
            '7,"password = hunter\\n2xyzzy99, password = ""hunter2xyzzy99""" so',
            '7,"password = [SECRET], password = "[SECRET]" so',
        ),
        ('7,"he said ""C:\\new""" so', '7,"he said ""C:\\new""" so'),
    ],
)
def test_a_broken_row_is_masked_as_its_text_would_be(tmp_path: Path, row: str, masked: str) -> None:
    write_rows(tmp_path, row)
    assert kept(tmp_path, **MASKED) == [masked]


@pytest.mark.parametrize("secret", SECRETS)
def test_quotes_around_a_secret_do_not_hide_it(tmp_path: Path, secret: str) -> None:
    write_rows(tmp_path, f'7,"""{secret}"" and ""C:\\n{secret}""" so')
    (content,) = kept(tmp_path, **MASKED)
    assert secret not in content
    assert content.count(SECRETS[secret]) == 2


def test_what_is_not_masked_is_kept_as_it_was_read(tmp_path: Path) -> None:
    line = r'{"x": "line 0\nAKIAIOSFODNN7EXAMPLE \"'
    write_cut_off(tmp_path, line)
    assert kept(tmp_path, text={}) == [line]


def test_the_same_files_give_the_same_bytes_in_any_folder(tmp_path: Path) -> None:
    here, there = tmp_path / "a", tmp_path / "b" / "longer"
    write_cut_off(here, '{"text": "no', '{"text": 1}')
    (here / "lines" / "b.jsonl").write_bytes(gzip.compress(b'{"text": "one"}\n' * 100)[:-12])
    # With the times of the files, which are among what data is known by.
    shutil.copytree(here, there)
    for base in (here, there):
        kept(base, **MASKED)
    assert digests(here / "prepared") == digests(there / "prepared")
    aside = "".join(path.read_text() for path in (here / "prepared" / "quarantine").iterdir())
    assert '"where": "lines/a.jsonl:51"' in aside
    assert str(tmp_path) not in aside


@pytest.mark.parametrize("row", [b'7,one,"two, and three"', b'7;one;"two ""and"" three"', b'7\t"on\ne"\ttwo'])
def test_a_row_with_too_many_fields_is_kept_as_it_was_read(tmp_path: Path, row: bytes) -> None:
    delimiter = row[1:2].decode()
    (tmp_path / "lines").mkdir()
    rows = [f"{number}{delimiter}words\n" for number in range(50)]
    head = "".join([f"id{delimiter}text\n", *rows]).encode()
    (tmp_path / "lines" / "a.csv").write_bytes(head + row + b"\n")
    assert kept(tmp_path, text={}) == [row.decode()]


def test_a_row_that_is_not_utf_8_is_kept_as_it_was_read(tmp_path: Path) -> None:
    write_rows(tmp_path)
    row = b'7,"caf\xe9, ""noir"""'
    with (tmp_path / "lines" / "a.csv").open("ab") as file:
        file.write(row + b"\n")
    source = {"uri": "lines", "format": "Csv", "field": "text"}
    prepared(text_job(data__cleaning={"maxBrokenShare": 0.9}, data__train={"sources": [source]}), tmp_path)
    (path,) = (tmp_path / "prepared" / "quarantine").iterdir()
    assert base64.b64decode(json.loads(path.read_text())["content"]) == row


def test_an_absolute_name_in_an_archive_is_named_as_it_is(tmp_path: Path) -> None:
    # In the folder of the job file, whose name is left out of places.
    name = f"{tmp_path}/secret/0001.txt"
    (tmp_path / "shards").mkdir()
    with tarfile.open(tmp_path / "shards" / "a.tar", "w") as archive:
        for member, text in [*((f"{number:04d}.txt", "some words") for number in range(50)), (name, "no")]:
            info = tarfile.TarInfo(member)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    source = {"uri": "shards", "format": "Tar", "contents": "Text"}
    cleaning = {"text": {}, "maxBrokenShare": 0.9}
    index = prepared(text_job(data__cleaning=cleaning, data__train={"sources": [source]}), tmp_path).index
    (path,) = (tmp_path / "prepared" / "quarantine").iterdir()
    aside = json.loads(path.read_text())
    (example,) = index.counts["cleaning"]["filters"]["readable"]["examples"]
    for told in (aside, example):
        assert told["reason"] == f"the member's name {name!r} is an absolute path"
        assert told["where"].startswith(f"shards/a.tar, sample {name.removesuffix('.txt')} at byte ")
