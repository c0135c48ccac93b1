from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from raygen.data.inspection import survey as module
from raygen.data.inspection.grid import CELL, grid
from raygen.data.inspection.survey import survey
from raygen.errors import DataError
from raygen.spec import Source
from raygen.spec.data.sources import resolved_source
from tests.prepared import documents, prepared, text_job, write_lines
from tests.unit.data.records.reading import picture, write_tar
from tests.unit.data.records.test_mds import images, index
from tests.unit.data.text.test_documents import write

ROWS = 2000


@pytest.fixture
def base(tmp_path: Path) -> Path:
    texts = ["x" * (1 + number % 9) for number in range(ROWS)]
    pq.write_table(pa.table({"body": texts, "n": [1] * ROWS}), tmp_path / "a.parquet", row_group_size=50)
    lines = [json.dumps({"body": text, "n": 1}) for text in texts]
    write(tmp_path, {"a.jsonl": "\n".join([*lines, "{", '{"body": null}'])})
    return tmp_path


@pytest.mark.parametrize("form", ["Parquet", "Arrow"])
@pytest.mark.parametrize("in_struct", [False, True], ids=["bytes", "struct"])
@pytest.mark.parametrize(
    ("values", "field"),
    [
        ([None, b"", picture()], "t"),
        ([b"RIFF....WAVE", b"GIF", b"{}"], "text"),
        ([None, None, None], "text"),
    ],
    ids=["images", "others", "nothing"],
)
def test_bytes_are_images_if_they_begin_like_one(
    tmp_path: Path, form: str, in_struct: bool, values: list[bytes | None], field: str
) -> None:
    cells = pa.array(values, pa.binary())
    if in_struct:
        cells = pa.StructArray.from_arrays([cells, pa.array(["a"] * 3)], ["bytes", "path"])
    table = pa.table({"text": ["a", "b", "c"], "t": cells})
    pq.write_table(table, tmp_path / "x.parquet")
    with pa.ipc.new_file(tmp_path / "x.arrow", table.schema) as writer:
        writer.write_table(table)
    source = Source.model_validate({"uri": f"x.{form.lower()}", "format": form})

    found = resolved_source(survey(source, tmp_path, 3).source)

    assert (found.contents, found.field) == ("Images" if field == "t" else "Text", field)


def test_bytes_that_are_no_images_beside_no_text_are_not_guessed_at(tmp_path: Path) -> None:
    pq.write_table(pa.table({"n": [1], "t": [b"....ftypavif"]}), tmp_path / "x.parquet")

    with pytest.raises(DataError, match="neither text nor images: what is in t begins like no image"):
        survey(Source(uri="x.parquet", format="Parquet"), tmp_path, 3)
    said = survey(Source(uri="x.parquet", format="Parquet", contents="Images"), tmp_path, 3)
    assert (said.source.field, said.read, said.broken_count) == ("t", 0, 1)


def test_shards_that_raygen_has_prepared_are_not_guessed_at(tmp_path: Path) -> None:
    write_lines(tmp_path / "lines" / "a.jsonl", documents(150))
    prepared(text_job(), tmp_path)

    with pytest.raises(DataError, match="neither text nor images: what is in tokens") as caught:
        survey(Source(uri="prepared/train", format="Parquet"), tmp_path, 3)
    assert "card.html" in caught.value.remedy


def test_images_that_cannot_be_decoded_are_told_with_the_reason(tmp_path: Path) -> None:
    whole = picture(0, (64, 64))
    bomb = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(bomb, format="PNG")
    files = {
        "a/whole.png": whole,
        "b/whole.png": whole,
        "a/empty.png": b"",
        "a/cut.png": whole[: len(whole) // 2],
        "a/page.jpg": b"<!DOCTYPE html><html></html>",
        "b/bomb.png": bomb.getvalue(),
    }
    write(tmp_path, {f"pics/{name}": content for name, content in files.items()})

    found = survey(Source(uri="pics", format="ImageFolder"), tmp_path, 10)

    reasons = {one.where.removeprefix(f"{tmp_path}/pics/"): one.reason for one in found.broken}
    assert (found.read, found.records, found.broken_count) == (2, 2, 4)
    assert reasons.keys() == files.keys() - {"a/whole.png", "b/whole.png"}
    assert reasons["a/empty.png"] == "the image is empty"
    assert "cannot be decoded" in reasons["a/cut.png"]
    assert "it is not a" in reasons["a/page.jpg"]
    assert "pixels, and at most" in reasons["b/bomb.png"]
    assert len(found.samples) == 2


def test_small_data_is_counted(base: Path) -> None:
    for uri, form in (("a.parquet", "Parquet"), ("a.jsonl", "JsonLines")):
        found = survey(Source.model_validate({"uri": uri, "format": form}), base, 5)

        assert (found.records, found.read, found.lengths) == (ROWS, ROWS, (1, 5, 9))
        assert (len(found.samples), found.source.field, found.files) == (5, "body", 1)
        assert list(found.columns) == ["body", "n"]
        assert len({sample.key for sample in found.samples}) == 5
        assert found.samples == survey(found.source, base, 5).samples, "the same again"
    assert found.broken_count == 1
    assert found.broken[0].where == f"{base}/a.jsonl:{ROWS + 1}"
    assert [remark.reason for remark in found.remarks] == ["its text is null"]


def test_all_that_is_lost_with_a_damaged_file_is_counted(tmp_path: Path) -> None:
    write(tmp_path, {"x.csv": "id,text\n1,a\n" + 'x",b"c,"\n' * 300})
    found = survey(Source(uri="x.csv", format="Csv"), tmp_path, 3)

    assert (found.read, found.broken_count) == (1, 300)
    assert sum(one.records for one in found.broken) == 300
    assert len(found.broken) < 10


def test_of_large_data_some_parts_are_read(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SMALL_BYTES", 10)
    monkeypatch.setattr(module, "_PART_BYTES", 1500)
    counted = survey(Source(uri="a.parquet", format="Parquet"), base, 16)
    uncounted = survey(Source(uri="a.jsonl", format="JsonLines"), base, 16)

    assert (counted.records, uncounted.records) == (ROWS, None)
    for found in (counted, uncounted):
        assert 8 <= found.read <= 32
        places = sorted(int(sample.key.partition("#")[2]) for sample in found.samples)
        assert places[-1] > 10 * (places[1] - places[0] + 1), "from all over the data"
    assert survey(Source(uri="a.jsonl", format="JsonLines"), base, 1, everything=True).records == ROWS


def test_images_of_shards_have_classes(tmp_path: Path) -> None:
    members = [
        (f"{n}.{end}", c) for n in range(6) for end, c in (("png", picture(n)), ("cls", b"%d" % (n % 2)))
    ]
    write_tar(tmp_path / "a.tar", members)
    write(
        tmp_path,
        {"mds/index.json": index(("0.mds", None, 3)), "mds/0.mds": images(0, 3), "pics/a/0.png": picture()},
    )
    tar = survey(Source(uri="a.tar", format="Tar"), tmp_path, 4)
    mds = survey(Source(uri="mds", format="Mds"), tmp_path, 4)
    folder = survey(Source(uri="pics", format="ImageFolder"), tmp_path, 4)

    assert (tar.columns, tar.classes, tar.records) == (
        {"png": "member", "cls": "member"},
        [("0", 3), ("1", 3)],
        6,
    )
    assert (mds.columns["image"], mds.classes, mds.records) == ("png", [("0", 1), ("1", 1), ("2", 1)], 3)
    assert (folder.columns, folder.classes) == ({}, [("a", 1)])


def test_the_first_file_that_looks_like_the_format_tells_the_columns(tmp_path: Path) -> None:
    write(tmp_path, {"in/README.md": "notes", "in/a.jsonl": "", "in/b.jsonl": '{"text": "b"}'})

    assert survey(Source(uri="in/*.jsonl", format="JsonLines"), tmp_path, 1).columns == {"text": "text"}


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        survey(Source(uri="nowhere"), tmp_path, 1)


def test_a_grid_shows_every_picture_and_crosses_out_what_is_none() -> None:
    found = Image.open(
        io.BytesIO(
            grid([(picture(255), "cat"), (b"none", "a name that is far too long"), (picture(0, (4, 2)), "")])
        )
    )
    pixels = np.asarray(found)

    assert found.size == (2 * (CELL + 6) + 6, 2 * (CELL + 14 + 6) + 6)
    assert pixels[6 + CELL // 2, 6 + CELL // 2].tolist() == [255, 255, 255]
    assert pixels[6, CELL + 12].tolist() == [200, 40, 40]
    third = pixels[CELL + 26 : 2 * CELL + 26, 6 : CELL + 6]
    assert (third == 0).all(axis=2).sum() == CELL * CELL // 2
    assert np.asarray(Image.open(io.BytesIO(grid([(picture(), "")])))).shape[0] == CELL + 12
