from __future__ import annotations

import codecs
import gzip
import json
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.data.records.parts import WHOLE
from raygen.data.records.record import Record
from raygen.spec.data.sources import JsonLinesSource
from tests.budget import examples
from tests.unit.data.records.reading import broken, contents, gather, sound
from tests.unit.data.text.test_documents import PACKERS, read_lines, refused, remarks_of, write


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
        ('["text"]', "not a JSON object, but a list"),
        ("12", "not a JSON object, but a number"),
        ('"secret"', "not a JSON object, but a text"),
        ("null", "not a JSON object, but null"),
        ('{"text": 3}', "has a number under the key 'text'"),
        ('{"text": ["a"]}', "has a list under the key 'text'"),
    ],
)
def test_a_line_with_something_else_than_a_text_is_refused(tmp_path: Path, line: str, shown: str) -> None:
    write(tmp_path, {"x.jsonl": '{"text": "a"}\n' + line})

    error = refused(lambda: read_lines(tmp_path, "x.jsonl"), shown)

    assert error.where.endswith("x.jsonl:2")
    assert "`field`" in error.remedy


def test_a_line_that_cannot_be_used_is_broken_and_the_others_are_read(tmp_path: Path) -> None:
    lines = [b'{"text": "a"}', b'{"text": "b', '{"text": "ü"}'.encode("latin-1"), b'{"text": 1}', b"[]", b""]
    write(tmp_path, {"x.jsonl": b"\n".join([*lines, b'{"text": "z"}'])})
    found = gather(JsonLinesSource(uri="x.jsonl"), tmp_path)

    assert contents(found) == [
        "a",
        "is not a JSON object; the line may be cut off",
        "is not UTF-8 (byte 0xfc at offset 36)",
        "has a number under the key 'text', and not a text",
        "is not a JSON object, but a list",
        "z",
    ]
    first, second, *_ = broken(found)
    assert (first.key, first.where, first.content) == ("x.jsonl#14", f"{tmp_path}/x.jsonl:2", lines[1])
    assert second.content == lines[2]
    assert "byte 14" not in first.where


def test_a_range_says_at_which_byte_a_broken_line_is(tmp_path: Path) -> None:
    write(tmp_path, {"x.jsonl": '{"text": "a"}\n' * 5 + "no\n"})

    (fault,) = broken(gather(JsonLinesSource(uri="x.jsonl"), tmp_path, size=20))

    assert (fault.key, fault.where) == ("x.jsonl#70", f"{tmp_path}/x.jsonl, byte 70")


@pytest.mark.parametrize(
    "pack", [lambda content: content, gzip.compress, PACKERS["zst"]], ids=["plain", "gz", "zst"]
)
def test_a_line_of_any_length_needs_bounded_memory(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    huge = b'{"text": "' + b"x" * (32 << 20) + b'"}\n'
    write(tmp_path, {"x.jsonl": pack(b'{"text": "a"}\n' + huge + b'{"text": "z"}\n')})
    del huge
    tracemalloc.start()
    try:
        found = gather(JsonLinesSource(uri="x.jsonl"), tmp_path, limit=1 << 20)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert contents(found) == ["a", "is longer than 1,048,576 bytes", "z"]
    assert broken(found)[0].where == f"{tmp_path}/x.jsonl:2"
    assert peak < 12 << 20


@pytest.mark.parametrize("ending", PACKERS)
def test_of_a_compressed_file_that_is_cut_off_the_beginning_is_read(tmp_path: Path, ending: str) -> None:
    texts = [f"{number} {number**3}" for number in range(20_000)]
    content = PACKERS[ending]("".join(f'{{"text": "{text}"}}\n' for text in texts).encode())
    write(tmp_path, {f"x.jsonl.{ending}": content[: len(content) * 2 // 3], "y.jsonl": '{"text": "y"}'})

    found = gather(JsonLinesSource(uri="*.jsonl*"), tmp_path)

    *read, last = (record.content for record in found if isinstance(record, Record))
    (fault,) = broken(found)
    assert last == "y", "the next file is read"
    assert read == texts[: len(read)]
    # A block of bzip2 is unpacked as a whole, and this text is one.
    assert len(read) > 5_000 or ending == "bz2"
    assert "damaged or cut off" in fault.reason
    assert fault.where == f"{tmp_path}/x.jsonl.{ending}"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_wide_lines_are_read_as_they_come_and_end_where_they_are_cut(tmp_path: Path, encoding: str) -> None:
    texts = [f"東 🙂 {number}" for number in range(2000)]
    content = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts).encode(
        encoding
    )
    write(tmp_path, {"x.jsonl": content, "y.jsonl": content[:50_001]})

    assert contents(gather(JsonLinesSource(uri="x.jsonl"), tmp_path, size=1000)) == texts
    *read, last = contents(gather(JsonLinesSource(uri="y.jsonl"), tmp_path))
    assert read == texts[: len(read)]
    assert re.fullmatch(rf"begins as {encoding.upper()}, and is damaged or cut off at offset 5000\d", last)


def test_a_file_of_another_kind_is_one_broken_record(tmp_path: Path) -> None:
    write(tmp_path, {"a.jsonl": b"%PDF-1.7\n\xff", "b.jsonl": '{"text": "b"}', "c.jsonl": b"\0" * 50})

    assert contents(gather(JsonLinesSource(uri="*.jsonl"), tmp_path)) == [
        "is a PDF document, and not text",
        "b",
        "holds control characters, as compressed and other binary files do, and is not text",
    ]


def test_a_key_that_no_line_of_a_part_has_is_told_as_of_a_source_that_is_not_cut(tmp_path: Path) -> None:
    write(tmp_path, {"x.jsonl": '{"Text": "a"}\n' * 10})
    source = JsonLinesSource(uri="x.jsonl")

    for size in (50, WHOLE):
        error = refused(lambda size=size: gather(source, tmp_path, size=size), "it has the keys")
        assert "Did you mean 'Text'?" in error.remedy
        assert error.where == f"{tmp_path}/x.jsonl:1"


def test_a_part_without_lines_says_nothing_of_the_key(tmp_path: Path) -> None:
    write(tmp_path, {"x.jsonl": '{"text": "a"}\n' * 3 + "\n" * 100})

    assert contents(gather(JsonLinesSource(uri="x.jsonl"), tmp_path, size=30)) == ["a"] * 3


@examples(60)
@given(st.lists(st.text("aü🙂", max_size=6), min_size=1, max_size=12), st.booleans(), st.integers(1, 80))
def test_parts_of_any_size_give_each_line_once_with_its_place(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], marked: bool, size: int
) -> None:
    base = tmp_path_factory.mktemp("cut")
    content = (
        codecs.BOM_UTF8 * marked
        + "\n".join(json.dumps({"text": text}, ensure_ascii=False) if text else "" for text in texts).encode()
    )
    (base / "x.jsonl").write_bytes(content)
    source = JsonLinesSource(uri="x.jsonl")

    whole, cut = (sound(gather(source, base, size)) for size in (WHOLE, size))

    assert [(record.key, record.content) for record in cut] == [
        (record.key, record.content) for record in whole
    ]
    assert [record.content for record in whole] == [text for text in texts if text]
    for record in whole:
        line = content[int(record.key.partition("#")[2]) :].split(b"\n")[0]
        assert json.loads(line)["text"] == record.content


@pytest.mark.parametrize("ending", ["gz", "xz", "zst", "lz4"])
def test_of_a_small_compressed_file_that_is_cut_off_the_beginning_is_read(
    tmp_path: Path, ending: str
) -> None:
    texts = [f"{number} {number**3}" for number in range(300)]
    content = PACKERS[ending]("".join(f'{{"text": "{text}"}}\n' for text in texts).encode())
    write(tmp_path, {f"x.jsonl.{ending}": content[:-30]})

    *read, last = gather(JsonLinesSource(uri=f"x.jsonl.{ending}"), tmp_path)

    assert contents(read) == texts[: len(read)]
    # A block of zstd is unpacked as a whole, and this text is one.
    assert len(read) > 100 or ending in ("zst", "lz4")
    assert "damaged or cut off" in broken([last])[0].reason
