from __future__ import annotations

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from raygen import machine
from raygen.data.remarks import Remarks
from raygen.data.text.documents import read_documents
from raygen.errors import DataError, InputError
from raygen.machine import Memory
from raygen.spec import Source
from raygen.spec.data.sources import JsonLinesSource


def write(base: Path, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def read(base: Path, *uris: str) -> list[str]:
    return read_documents([Source(uri=uri) for uri in uris], base)


def read_lines(base: Path, uri: str, field: str = "text") -> list[str]:
    return read_documents([JsonLinesSource(uri=uri, field=field)], base)


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
            "texts/Thumbs.db": b"\xff thumbnails",
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
        ("texts/*", ["a", "b"]),
        ("texts/**", ["a", "b", "c", "d"]),
        ("texts/.*.txt", ["hidden"]),
        ("**/.git/*", ["hidden folder"]),
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


def remarks_of(base: Path, *sources: Source) -> list[str]:
    remarks = Remarks()
    read_documents(sources, base, remarks)
    return [str(remark).replace(f"{base}/", "") for remark in remarks.all()]


def test_null_and_empty_texts_are_left_out_and_counted(tmp_path: Path) -> None:
    lines = [
        '{"text": "a"}',
        '{"text": null}',
        '{"text": ""}',
        '{"text": NaN}',
        "",
        '{"text": "b"}\r',
        "",
        "",
    ]
    write(tmp_path, {"x.jsonl": "\ufeff" + "\n".join(lines), "empty.jsonl": ""})
    uris = ("x.jsonl", "empty.jsonl")

    assert read_documents([JsonLinesSource(uri=uri) for uri in uris], tmp_path) == ["a", "b"]
    assert remarks_of(tmp_path, *(JsonLinesSource(uri=uri) for uri in uris)) == [
        "2 lines skipped: its text is null (x.jsonl:2, x.jsonl:4)",
        "1 line skipped: its text is empty (x.jsonl:3)",
        "1 file skipped: it is empty (empty.jsonl)",
    ]


def test_what_a_source_without_text_had_instead_is_named(tmp_path: Path) -> None:
    write(tmp_path, {"x.jsonl": '{"text": null}\n{"text": null}'})

    error = refused(
        lambda: read_lines(tmp_path, "x.jsonl"), "holds no text; 2 lines skipped: its text is null"
    )

    assert error.where == "x.jsonl"


@pytest.mark.parametrize(
    ("content", "shown", "query"),
    [
        ('[{"text": "a"}, {"text": "b"}]', "is a JSON array", ".[]"),
        ('[\n  {"text": "a"}\n]\n', "begins a JSON array", ".[]"),
        ('{\n  "text": "a"\n}\n', "begins a JSON object of several lines", "."),
    ],
)
def test_a_json_document_that_is_not_json_lines_is_named(
    tmp_path: Path, content: str, shown: str, query: str
) -> None:
    write(tmp_path, {"x.json": content})

    error = refused(lambda: read_lines(tmp_path, "x.json"), shown)

    assert f"jq -c '{query}'" in error.remedy


def packed(codec: str) -> Callable[[bytes], bytes]:
    def pack(content: bytes) -> bytes:
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, codec) as stream:
            stream.write(content)
        return bytes(sink.getvalue())

    return pack


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": packed("zstd"),
    "lz4": packed("lz4"),
}


@pytest.mark.parametrize("ending", PACKERS)
def test_compressed_text_is_read(tmp_path: Path, ending: str) -> None:
    pack = PACKERS[ending]
    both = pack("Größe\n".encode() * 50) + pack(b"end")
    write(tmp_path, {f"a.txt.{ending}": both, f"b.jsonl.{ending}": pack(b'{"text": "line"}\n')})

    assert read(tmp_path, f"a.txt.{ending}") == ["Größe\n" * 50 + "end"], "files may be put behind each other"
    assert read_lines(tmp_path, f"b.jsonl.{ending}") == ["line"]


@pytest.mark.parametrize("ending", PACKERS)
def test_a_compressed_file_that_is_cut_off_is_named(tmp_path: Path, ending: str) -> None:
    content = PACKERS[ending](b"".join(bytes(str(n), "ascii") for n in range(5000)))
    write(tmp_path, {"a.txt": content[: len(content) // 2]})

    error = refused(lambda: read(tmp_path, "a.txt"), "is compressed by .*, and damaged or cut off")

    assert "iconv" not in error.remedy


def test_a_small_file_that_holds_a_huge_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"a.txt": gzip.compress(bytes(100_000))})
    monkeypatch.setattr(machine, "memory", lambda: Memory(free=100_000))

    refused(lambda: read(tmp_path, "a.txt"), "does not fit into memory")


def test_a_text_that_begins_like_bzip2_is_text(tmp_path: Path) -> None:
    write(tmp_path, {"a.txt": "BZh is no word"})

    assert read(tmp_path, "a.txt") == ["BZh is no word"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_says_the_encoding(tmp_path: Path, encoding: str) -> None:
    write(tmp_path, {"x.txt": "東 🙂".encode(encoding), "x.jsonl": '{"text": "東"}\n'.encode(encoding)})

    assert read(tmp_path, "x.txt") == ["東 🙂"]
    assert read_lines(tmp_path, "x.jsonl") == ["東"]


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        (b"PK\x03\x04\xff\xfe", "is a ZIP archive"),
        (b"%PDF-1.7\n\xff", "is a PDF document"),
        (b"\x89PNG\r\n\x1a\n", "is a PNG image"),
        (b"name".ljust(257, b"\0") + b"ustar\0" + bytes(249), "is a tar archive"),
        ("plain text".encode("utf-16-le"), "UTF-16 without a byte-order mark"),
        ("ab".encode("utf-16") + b"c", "begins as UTF-16, and is damaged"),
    ],
)
def test_a_file_that_is_not_text_is_named_for_what_it_is(tmp_path: Path, content: bytes, shown: str) -> None:
    write(tmp_path, {"x.txt": content})

    refused(lambda: read(tmp_path, "x.txt"), shown)


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
