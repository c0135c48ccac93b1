from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.data.remarks import Remarks
from raygen.data.text.documents import read_documents
from raygen.errors import DataError
from raygen.spec.data.sources import CsvSource
from tests.budget import examples
from tests.unit.data.records.reading import broken, contents, gather, sound
from tests.unit.data.text.test_documents import refused, write

CELL = st.text(
    st.one_of(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), st.just("\n")), max_size=8
)


@examples(60)
@given(st.lists(st.tuples(CELL, CELL), min_size=1, max_size=20), st.sampled_from(",;\t|"))
def test_what_python_writes_is_read_with_the_place_of_each_row(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], delimiter: str
) -> None:
    base = tmp_path_factory.mktemp("csv")
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator="\n")
    writer.writerows([("text", "other"), *rows])
    (base / "x.csv").write_bytes(buffer.getvalue().encode())
    source = CsvSource(uri="x.csv")

    found = sound(gather(source, base))

    assert [record.content for record in found] == [text for text, _ in rows if text]
    for record in found:
        place = int(record.key.partition("#")[2])
        rest = io.StringIO(buffer.getvalue().encode()[place:].decode(), newline="")
        assert next(csv.reader(rest, delimiter=delimiter))[0] == record.content


def test_lines_of_windows_a_byte_order_mark_and_gzip_are_read(tmp_path: Path) -> None:
    content = '\ufeffid;text\r\n1;"a;\r\nb"\r\n2;c\r\n'.encode()
    write(tmp_path, {"x.csv": content, "y.csv.gz": gzip.compress(content)})

    for uri in ("x.csv", "y.csv.gz"):
        assert [text.replace("\r", "") for text in contents(gather(CsvSource(uri=uri), tmp_path))] == [
            "a;\nb",
            "c",
        ]
    assert [record.key for record in gather(CsvSource(uri="x.csv"), tmp_path)] == ["x.csv#12", "x.csv#23"]


def test_rows_that_cannot_be_used_are_broken_and_the_others_are_read(tmp_path: Path) -> None:
    content = b'id,text\n1,a\n2,b,c\n3\n4,"d"e\n5,\xff\n\n6,\n7,g\n8,"cut'
    write(tmp_path, {"x.csv": content})
    remarks = Remarks()
    found = gather(CsvSource(uri="x.csv"), tmp_path, remarks=remarks)

    assert contents(found) == [
        "a",
        "has 3 fields, and the first line names 2 columns",
        "has 1 fields, and the first line names 2 columns",
        "is not a row of separated values: ',' expected after '\"'",
        "is not UTF-8 (byte 0xff in the column 'text')",
        "g",
        "is not a row of separated values: unexpected end of data",
    ]
    assert [fault.where.rpartition(":")[2] for fault in broken(found)] == ["3", "4", "5", "6", "10"]
    assert broken(found)[0].key == "x.csv#12"
    assert [str(remark) for remark in remarks.all()] == [
        f"1 line skipped: its text is empty ({tmp_path}/x.csv:8)"
    ]


@pytest.mark.parametrize("row", ["2," + "x" * 3000, '2,"' + "x\n" * 3000 + '"'])
def test_a_row_of_any_length_is_broken_and_not_held(tmp_path: Path, row: str) -> None:
    write(tmp_path, {"x.csv": f"id,text\n1,a\n{row}\n3,c\n"})
    found = gather(CsvSource(uri="x.csv"), tmp_path, limit=1000)

    assert contents(found) == ["a", "is longer than 1,000 bytes", "c"]
    write(tmp_path, {"x.csv": f"id,text\n1,a\n{row[:-1]}"})
    assert contents(gather(CsvSource(uri="x.csv"), tmp_path, limit=1000))[1:] == [
        "is longer than 1,000 bytes"
    ]


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        ("id,Text\n1,a\n", "Did you mean 'Text'"),
        ("some words\nmore words\n", "the first line has the names of all columns"),
        ("id\tbody\tn\n1\ta\t2\n", "there are id, body, n"),
    ],
)
def test_a_column_that_is_not_there_is_told(tmp_path: Path, content: str, shown: str) -> None:
    write(tmp_path, {"x.csv": content})

    error = refused(lambda: gather(CsvSource(uri="x.csv"), tmp_path), "there is no column 'text'")

    assert shown in str(error)
    assert isinstance(error, DataError)


def test_a_column_that_is_there_twice_is_refused_if_it_is_read(tmp_path: Path) -> None:
    write(tmp_path, {"x.csv": "text,id,text\na,1,b\n", "y.csv": "id;text;id\n1;a;2\n"})

    error = refused(
        lambda: gather(CsvSource(uri="x.csv"), tmp_path), "there are 2 columns named 'text' in the first line"
    )

    assert isinstance(error, DataError)
    assert error.where == f"{tmp_path}/x.csv"
    assert error.remedy == "Give each column a name of its own."
    assert contents(gather(CsvSource(uri="y.csv"), tmp_path)) == ["a"]


def test_training_reads_it_and_ends_at_what_is_broken(tmp_path: Path) -> None:
    write(tmp_path, {"x.csv": "body\tn\na b\t1\nc\t2\n", "y.csv": "body\na,b\n", "empty.csv": ""})
    remarks = Remarks()

    assert read_documents([CsvSource(uri="x.csv", field="body")], tmp_path) == ["a b", "c"]
    error = refused(lambda: read_documents([CsvSource(uri="y.csv", field="body")], tmp_path), "has 2 fields")
    assert error.where == f"{tmp_path}/y.csv:2"
    refused(lambda: read_documents([CsvSource(uri="empty.csv")], tmp_path, remarks), "holds no text")
    assert [remark.reason for remark in remarks.all()] == ["it is empty"]


def test_a_quote_that_is_not_closed_costs_its_own_row(tmp_path: Path) -> None:
    rows = [f'{number},"text {number}"' for number in range(1000)]
    rows[200] = '200,"text 200'
    plain = [f"{number},text {number}" for number in range(1000)]
    plain[200] = '200,"text 200'
    for lines in (rows, plain):
        write(tmp_path, {"x.csv": "\n".join(["id,text", *lines, ""])})
        found = gather(CsvSource(uri="x.csv"), tmp_path)

        assert [record.content for record in sound(found)] == [f"text {n}" for n in range(1000) if n != 200]
        (fault,) = broken(found)
        assert (fault.where, fault.records) == (f"{tmp_path}/x.csv:202", 1)
        assert sound(found)[200].where == f"{tmp_path}/x.csv:203"


def test_rows_that_are_lost_behind_a_quote_are_counted(tmp_path: Path) -> None:
    """Lines that neither end nor break the row before them, so that each would be read to the end of the file."""
    write(tmp_path, {"x.csv": "id,text\n1,a\n" + 'x",b"c,"\n' * 300})
    found = broken(gather(CsvSource(uri="x.csv"), tmp_path))
    assert sum(fault.records for fault in found) == 300

    write(tmp_path, {"x.csv": 'id,text\n1,a\n2,"b\n' + "3,c\n" * 999})
    (fault,) = broken(gather(CsvSource(uri="x.csv"), tmp_path, limit=1000))
    assert (fault.reason, fault.records) == ("is longer than 1,000 bytes", 1000)


@pytest.mark.parametrize("closed", ['700,5"', '700,", he said"', '700,"'])
def test_a_quote_that_a_later_row_closes_by_chance_costs_its_own_row(tmp_path: Path, closed: str) -> None:
    rows = [f"{number},text {number}" for number in range(1000)]
    rows[200], rows[700] = '200,"text 200', closed
    write(tmp_path, {"x.csv": "\n".join(["id,text", *rows, ""])})
    found = gather(CsvSource(uri="x.csv"), tmp_path)

    kept = [record.content for record in sound(found)]
    assert [text for text in kept if text.startswith("text")] == [
        f"text {number}" for number in range(1000) if number not in (200, 700)
    ]
    first = broken(found)[0]
    assert (first.where, first.records) == (f"{tmp_path}/x.csv:202", 1)
    assert (first.key, first.content) == (
        f"x.csv#{len(chr(10).join(['id,text', *rows[:200]])) + 1}",
        b'200,"text 200',
    )
    assert first.remedy


def test_quotes_that_others_close_end_after_a_while_and_all_lines_are_counted(tmp_path: Path) -> None:
    block = ['0,"open', *(f"{number},b" for number in range(30)), '31,5"']
    write(tmp_path, {"x.csv": "\n".join(["id,text", *block * 50, ""])})
    found = gather(CsvSource(uri="x.csv"), tmp_path)
    assert len(sound(found)) + sum(fault.records for fault in broken(found)) == 50 * len(block)


@pytest.mark.parametrize("inner", ["so, it goes", "without", "a, b, c"])
def test_texts_of_many_lines_are_one_row(tmp_path: Path, inner: str) -> None:
    lines = [f"{inner} {number}" for number in range(13)]
    text = "\n".join([*lines, "no comma", *lines])
    write(tmp_path, {"x.csv": f'id,text\n1,"{text}"\n2,b\n'})
    assert contents(gather(CsvSource(uri="x.csv"), tmp_path)) == [text, "b"]
    write(tmp_path, {"x.csv": "text\n" + '"' + "\n".join(["line"] * 100) + '"\nb\n'})
    assert contents(gather(CsvSource(uri="x.csv"), tmp_path)) == ["\n".join(["line"] * 100), "b"]
