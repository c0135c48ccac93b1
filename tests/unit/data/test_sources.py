from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from raygen.data.sources import read_documents
from raygen.errors import DataError, InputError
from raygen.spec import Source


def write(base: Path, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def read(base: Path, *uris: str) -> list[str]:
    return read_documents([Source(uri=uri) for uri in uris], base)


def read_lines(base: Path, uri: str, field: str | None = None) -> list[str]:
    return read_documents([Source(uri=uri, format="JsonLines", field=field)], base)


def refused(act: Callable[[], object], match: str) -> InputError:
    """The error of an action; checks that it says what, where and what to do."""
    with pytest.raises(InputError, match=match) as caught:
        act()
    assert caught.value.where
    assert caught.value.remedy
    assert caught.value.exit_code == 2
    return caught.value


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    write(
        tmp_path,
        {
            "one.txt": "one",
            "texts/b.txt": "b",
            "texts/a.txt": "a",
            "texts/deep/c.txt": "c",
            "texts/deep/er/d.md": "d",
            "texts/.hidden.txt": "hidden",
            "texts/_SUCCESS": "marker",
            "texts/.git/config": "hidden folder",
            "texts/empty.txt": "",
        },
    )
    return tmp_path


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("one.txt", ["one"]),
        ("texts", ["a", "b", "c", "d"]),
        ("texts/", ["a", "b", "c", "d"]),
        ("texts/*.txt", ["a", "b"]),
        ("texts/[b-z]*", ["b"]),
        ("texts/**/*.txt", ["a", "b", "c"]),
        ("**/d.md", ["d"]),
    ],
)
def test_files_folders_and_globs(tree: Path, uri: str, expected: list[str]) -> None:
    assert read(tree, uri) == expected
    assert read(Path("elsewhere"), f"{tree}/{uri}") == expected
    assert read(Path("elsewhere"), f"file://{tree}/{uri}") == expected


def test_sources_keep_their_order(tree: Path) -> None:
    assert read(tree, "texts/b.txt", "one.txt", "texts/a.txt") == ["b", "one", "a"]


def test_a_base_with_brackets_is_no_pattern(tmp_path: Path) -> None:
    write(tmp_path, {"run[1]/a.txt": "a", "run1/a.txt": "wrong"})

    assert read(tmp_path / "run[1]", "*.txt") == ["a"]


def test_a_file_with_brackets_in_its_name_is_no_pattern(tmp_path: Path) -> None:
    write(tmp_path, {"a[1].txt": "brackets", "a1.txt": "wrong"})

    assert read(tmp_path, "a[1].txt") == ["brackets"]


def test_a_path_from_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"a.txt": "a"})
    monkeypatch.setenv("HOME", str(tmp_path))

    assert read(Path("elsewhere"), "~/a.txt") == ["a"]


def test_text_is_kept_as_it_is_but_for_a_byte_order_mark(tmp_path: Path) -> None:
    write(tmp_path, {"bom.txt": b"\xef\xbb\xbfa\r\nb\x00\xe2\x80\xa8\r", "plain.txt": "  \n"})

    assert read(tmp_path, "bom.txt", "plain.txt") == ["a\r\nb\0\u2028\r", "  \n"]


def test_json_lines(tmp_path: Path) -> None:
    lines = [
        '{"text": "a\u2028b", "n": 1}',
        "",
        '  {"text": "\\ud83d\\ude42"}\r',
        '{"text": ""}',
        '{"text":"last"}',
    ]
    write(tmp_path, {"x.jsonl": "\n".join(lines)})

    assert read_lines(tmp_path, "x.jsonl") == ["a\u2028b", "🙂", "last"]


def test_json_lines_of_another_field(tmp_path: Path) -> None:
    write(tmp_path, {"x.jsonl": json.dumps({"text": 1, "body": "b"})})

    assert read_lines(tmp_path, "x.jsonl", "body") == ["b"]


def test_a_cut_off_line_is_named(tmp_path: Path) -> None:
    write(tmp_path, {"x.jsonl": '{"text": "a"}\n\n{"text": "b'})

    error = refused(lambda: read_lines(tmp_path, "x.jsonl"), "may be cut off")

    assert error.where == f"{tmp_path / 'x.jsonl'}:3"


@pytest.mark.parametrize("line", ["[" * 100_000, "{'text': 'a'}", "1" * 5000, '{"text": "a"} {"text": "b"}'])
def test_a_line_that_is_not_json_is_refused(tmp_path: Path, line: str) -> None:
    write(tmp_path, {"x.jsonl": line})

    assert refused(lambda: read_lines(tmp_path, "x.jsonl"), "not a JSON object").where.endswith("x.jsonl:1")


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ('{"body": "b", "title": "t"}', r"'text'; it has the keys \['body', 'title'\]"),
        ('{"text": null}', r"'text'; it has the keys \['text'\]"),
        ("{}", r"'text'; it has the keys \[\]"),
        ('["text"]', "it has no keys: "),
        ("12", "it has no keys: '12'"),
    ],
)
def test_a_line_without_the_field_is_refused(tmp_path: Path, line: str, shown: str) -> None:
    write(tmp_path, {"x.jsonl": '{"text": "a"}\n' + line})

    error = refused(lambda: read_lines(tmp_path, "x.jsonl"), shown)

    assert error.where.endswith("x.jsonl:2")
    assert "`field`" in error.remedy


def test_half_a_surrogate_pair_in_a_line_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {"x.jsonl": r'{"text": "ab\ud83d"}'})

    error = refused(lambda: read_lines(tmp_path, "x.jsonl"), r"surrogate pair \(U\+D83D, at position 2\)")

    assert error.where.endswith("x.jsonl:1")


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        (b"abc\xff", "0xff at offset 3"),
        ("Größe".encode("latin-1"), "0xf6 at offset 2"),
        ("a東".encode()[:-1], "0xe6 at offset 1"),
        ("ab".encode("utf-16"), "0xff at offset 0"),
    ],
)
def test_bytes_that_are_not_utf8_are_named_with_their_offset(
    tmp_path: Path, content: bytes, shown: str
) -> None:
    write(tmp_path, {"x.txt": content})

    error = refused(lambda: read(tmp_path, "x.txt"), shown)

    assert error.where == str(tmp_path / "x.txt")


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("missing.txt", "no such file or folder"),
        ("one.txt/below", "no such file or folder"),
        ("~nobody-here/x.txt", "no such file or folder"),
        ("hollow", "there are no files"),
        ("hollow/*.txt", "there are no files"),
        ("*/one", "there are no files"),
        ("texts/empty.txt", "holds no text"),
        ("x" * 300, "File name too long"),
    ],
)
def test_what_is_missing_or_empty_is_refused(tree: Path, uri: str, shown: str) -> None:
    write(tree, {"hollow/.keep": ""})

    assert isinstance(refused(lambda: read(tree, uri), shown), DataError)


@pytest.mark.parametrize("uri", ["hf://data", "https://host/x.txt", "gs://bucket/["])
def test_other_places_are_refused(tmp_path: Path, uri: str) -> None:
    error = refused(lambda: read(tmp_path, uri), f"cannot read {uri.partition(':')[0]}:// sources")

    assert error.where == uri
    assert "local path" in error.remedy


def test_a_file_that_cannot_be_read_is_named(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", fail)

    error = refused(lambda: read(tree, "one.txt"), "cannot be read: Permission denied")

    assert error.where == str(tree / "one.txt")


def test_a_folder_that_cannot_be_listed_is_named_and_not_passed_over(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    scandir = os.scandir

    def fail(path: str) -> object:
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", fail)

    error = refused(lambda: read(tree, "texts"), "cannot be read: Permission denied")

    assert error.where == str(tree / "texts" / "deep")
