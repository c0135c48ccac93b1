from __future__ import annotations

from pathlib import Path

import pytest

from raygen.spec.data.sources import JsonLinesSource
from tests.unit.data.text.test_documents import read_lines, refused, remarks_of, write


def test_lines_without_the_key_are_skipped_where_another_line_of_the_source_has_it(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"s/a.jsonl": '{"id": 1}\n{}\n', "s/b.jsonl": '{"id": 2, "text": "b"}\n{"id": 3}\n{"text": null}'},
    )

    assert read_lines(tmp_path, "s") == ["b"]
    assert remarks_of(tmp_path, JsonLinesSource(uri="s")) == [
        "3 lines skipped: it has no key 'text' (s/a.jsonl:1, s/a.jsonl:2, s/b.jsonl:2)",
        "1 line skipped: its text is null (s/b.jsonl:3)",
    ]


def test_a_source_of_which_all_texts_are_null_or_missing_has_the_key(tmp_path: Path) -> None:
    write(tmp_path, {"x.jsonl": '{"id": 1}\n{"text": null}'})

    refused(lambda: read_lines(tmp_path, "x.jsonl"), "holds no text; 1 line skipped: it has no key 'text'")


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        ('{"body": "b", "title": "t"}', r"'text'; it has the keys \['body', 'title'\]"),
        ("{}", r"'text'; it has the keys \[\]"),
        ('{"Text": "a"}\n{"id": 1}', r"(?s)the keys \['Text'\].*Did you mean 'Text'"),
    ],
)
def test_a_source_of_which_no_line_has_the_key_is_refused_at_its_first(
    tmp_path: Path, lines: str, shown: str
) -> None:
    write(tmp_path, {"good.jsonl": '{"text": "of another source"}', "x.jsonl": f"\n{lines}\n"})
    uris = ("good.jsonl", "x.jsonl")

    error = refused(lambda: remarks_of(tmp_path, *(JsonLinesSource(uri=uri) for uri in uris)), shown)

    assert error.where.endswith("x.jsonl:2")
    assert "`field`" in error.remedy


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ('["text"]', "not a JSON object, but '"),
        ("12", "not a JSON object, but '12'"),
        ('{"text": 3}', "has a number under the key 'text'"),
        ('{"text": ["a"]}', "has a list under the key 'text'"),
    ],
)
def test_a_line_with_something_else_than_a_text_is_refused(tmp_path: Path, line: str, shown: str) -> None:
    write(tmp_path, {"x.jsonl": '{"text": "a"}\n' + line})

    error = refused(lambda: read_lines(tmp_path, "x.jsonl"), shown)

    assert error.where.endswith("x.jsonl:2")
    assert "`field`" in error.remedy
