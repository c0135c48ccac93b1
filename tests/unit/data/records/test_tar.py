from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.data.images.files import read_images
from raygen.data.remarks import Remarks
from raygen.data.text.documents import read_documents
from raygen.errors import DataError
from raygen.spec.data.sources import TarSource
from tests.budget import examples
from tests.unit.data.records.reading import broken, contents, gather, picture, sound, write_tar
from tests.unit.data.text.test_documents import PACKERS, refused, write

FORMS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]


def shard(path: Path, count: int = 4, form: int = tarfile.PAX_FORMAT) -> Path:
    members = []
    for number in range(count):
        members += [
            (f"in/{number:04}.jpg", picture(number)),
            (f"in/{number:04}.cls", b"%d\n" % number),
            (f"in/{number:04}.json", json.dumps({"text": [f"one {number}"], "label": "j"}).encode()),
        ]
    return write_tar(path, members, form)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
def test_samples_are_neighbours_of_one_name(tmp_path: Path, form: int, ending: str) -> None:
    content = shard(tmp_path / "a.tar", form=form).read_bytes()
    write(tmp_path, {f"b.tar{ending}": PACKERS[ending[1:]](content) if ending else content})

    found = sound(gather(TarSource(uri=f"b.tar{ending}"), tmp_path))

    assert [(record.content, record.label) for record in found] == [(picture(n), n) for n in range(4)]
    at = int(found[1].key.partition("#")[2])
    assert found[1].where == f"{tmp_path}/b.tar{ending}, sample in/0001 at byte {at}"
    assert tarfile.TarInfo.frombuf(content[at : at + 512], "utf-8", "strict").name == "in/0001.jpg"


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_names_in_any_script_are_read(tmp_path: Path, form: int) -> None:
    names = ["a/" * 80 + "long", "東京/ü", "x" * 150]
    write_tar(tmp_path / "a.tar", [(f"{name}.txt", name.encode()) for name in names], form)

    assert contents(gather(TarSource(uri="a.tar", contents="Text"), tmp_path)) == names


@pytest.mark.parametrize(
    ("members", "source", "expected"),
    [
        ({"0.PNG": "png"}, {}, [("png", None)]),
        ({"0.WebP": "webp", "0.CLS": "cat"}, {}, [("webp", "cat")]),
        ({"0.jpeg": "a", "0.json": '{"label": 3}'}, {}, [("a", 3)]),
        ({"0.jpeg": "a", "0.json": '{"kind": "k"}'}, {"label_field": "kind"}, [("a", "k")]),
        ({"0.jpeg": "a", "0.kind": "07"}, {"label_field": "kind"}, [("a", 7)]),
        ({"0.left.png": "l", "0.right.png": "r"}, {"field": "right.png"}, [("r", None)]),
        ({"0.txt": "t", "0.json": '{"text": "j"}'}, {"contents": "Text"}, [("t", None)]),
        ({"0.json": '{"text": "j", "n": [1]}'}, {"contents": "Text"}, [("j", None)]),
        ({"0.txt": "t", "0.json": '{"cap": "c"}'}, {"contents": "Text", "field": "cap"}, [("c", None)]),
        ({"0.md": "m", "0.txt": "t"}, {"contents": "Text", "field": "md"}, [("m", None)]),
        ({"./0.png": "a", "README": "", "x/.png": "", "__meta__.json": "{"}, {}, [("a", None)]),
        ({"a/0.png": "a", "b/0.png": "b"}, {}, [("a", None), ("b", None)]),
    ],
)
def test_what_of_a_sample_is_read(
    tmp_path: Path,
    members: dict[str, str],
    source: dict[str, str],
    expected: list[tuple[str, object]],
) -> None:
    write_tar(tmp_path / "a.tar", [(name, content.encode()) for name, content in members.items()])
    found = sound(gather(TarSource.model_validate({"uri": "a.tar", **source}), tmp_path))

    texts = [
        record.content.decode() if isinstance(record.content, bytes) else record.content for record in found
    ]
    assert list(zip(texts, [record.label for record in found], strict=True)) == expected


@pytest.mark.parametrize(
    ("members", "shown"),
    [
        ({"0.png": "a", "0.jpg": "b"}, "several images: .png, .jpg"),
        ({"0.cls": "1", "0.txt": "b"}, "has no image; it has .cls, .txt"),
        ({"0.png": "a", "0.cls": b"\xff"}, "the label in .cls is not UTF-8"),
        ({"0.png": "a", "0.json": "{"}, "is not JSON"),
        ({"0.png": "a", "0.PNG": "b"}, "has .png twice"),
        ({"../0.png": "a"}, "'../0.png' leads out of its folder"),
        ({"a/../../0.png": "a"}, "leads out of its folder"),
        ({"/etc/0.png": "a"}, "is an absolute path"),
        ({"C:\\0.png": "a"}, "is an absolute path"),
        ({"0.png": "a" * 600}, "is longer than 500 bytes"),
    ],
)
def test_a_sample_that_cannot_be_used_is_broken_and_the_others_are_read(
    tmp_path: Path, members: dict[str, str | bytes], shown: str
) -> None:
    raw = {
        name: content.encode() if isinstance(content, str) else content for name, content in members.items()
    }
    write_tar(tmp_path / "a.tar", [("first.png", b"1"), *raw.items(), ("last.png", b"2")])

    first, fault, last = gather(TarSource(uri="a.tar"), tmp_path, limit=500)

    assert contents([first, last]) == [b"1", b"2"]
    assert shown in broken([fault])[0].reason
    assert " at byte 1024" in fault.where
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar"]


def test_links_devices_pipes_and_holes_are_left_out_and_told(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"secret")
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.GNU_FORMAT) as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo(f"{kind.decode()}.png")
            info.type, info.linkname = kind, str(tmp_path / "secret.png")
            archive.addfile(info)
        folder = tarfile.TarInfo("folder.png")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        holes = tarfile.TarInfo("holes.png")
        holes.type, holes.size = tarfile.GNUTYPE_SPARSE, 5
        archive.addfile(holes, io.BytesIO(b"12345"))
        info = tarfile.TarInfo("0.png")
        info.size = 1
        archive.addfile(info, io.BytesIO(b"a"))
    remarks = Remarks()

    assert contents(gather(TarSource(uri="a.tar"), tmp_path, remarks=remarks)) == [b"a"]
    assert {remark.reason: remark.count for remark in remarks.all()} == {
        "it is a link": 2,
        "it is a device": 2,
        "it is a pipe": 1,
        "it is a file with holes": 1,
    }
    assert "2.png at byte" in str(remarks.all()[0])


@examples(50)
@given(st.data())
def test_of_a_shard_that_is_cut_off_the_beginning_is_read_and_the_cut_is_named(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    base = tmp_path_factory.mktemp("cut")
    whole = shard(base / "a.tar").read_bytes()
    expected = sound(gather(TarSource(uri="a.tar"), base))
    cut = data.draw(st.integers(1, len(whole) - 1))
    (base / "b.tar").write_bytes(whole[:cut])

    found = gather(TarSource(uri="b.tar"), base)

    assert [record.content for record in sound(found)] == [
        record.content for record in expected[: len(sound(found))]
    ]
    begun = sum(int(record.key.partition("#")[2]) < cut for record in expected)
    # Whether a sample is complete is known when the next one begins, whose header must be whole.
    assert len(sound(found)) >= begun - 2
    for fault in broken(found):
        assert fault.where.startswith(f"{base}/b.tar")
        assert "byte" in fault.reason or "has no image" in fault.reason


@examples(60)
@given(st.data())
def test_damaged_bytes_are_records_or_broken_ones(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    base = tmp_path_factory.mktemp("damaged")
    content = bytearray(shard(base / "a.tar", 2).read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (base / "a.tar").write_bytes(content)

    gather(TarSource(uri="a.tar"), base)


def test_a_header_that_claims_more_than_there_is_takes_no_memory(tmp_path: Path) -> None:
    info = tarfile.TarInfo("0.png")
    info.size = 1 << 40
    names = tarfile.TarInfo("x")
    names.type, names.size = tarfile.GNUTYPE_LONGNAME, 1 << 40
    write(
        tmp_path,
        {
            "a.tar": info.tobuf(tarfile.GNU_FORMAT) + b"x" * 1000,
            "b.tar": names.tobuf(tarfile.GNU_FORMAT) + b"x" * 1000,
        },
    )

    assert [
        fault.reason.partition(": ")[2] for fault in broken(gather(TarSource(uri="*.tar"), tmp_path))
    ] == [
        "it is cut off within a member that begins at byte 512",
        "names of 1,099,511,627,776 bytes stand at byte 512",
    ]


def test_empty_shards_and_odd_ends_are_told(tmp_path: Path) -> None:
    one = write_tar(tmp_path / "a.tar", [("0.png", b"a")]).read_bytes()
    write(
        tmp_path,
        {
            "b.tar": b"",
            "c.tar": bytes(10240),
            "d.tar": one[:1024],
            "e.tar": one + b"signature",
            "f.txt": "no tar",
        },
    )
    remarks = Remarks()

    assert contents(gather(TarSource(uri="*"), tmp_path, remarks=remarks)) == [b"a"] * 3
    assert [str(remark).replace(f"{tmp_path}/", "") for remark in remarks.all()] == [
        "1 file skipped: it is not tar (f.txt)",
        "1 file skipped: it is empty (b.tar)",
        "1 file skipped: it holds no samples (c.tar)",
        "1 file converted: it lacks the mark of its end, and may be cut off (d.tar)",
        "1 file's end skipped: something follows the end of the archive (e.tar)",
    ]


def test_a_file_that_is_no_tar_is_broken(tmp_path: Path) -> None:
    write(tmp_path, {"a.tar": b"no archive" * 100, "b.tar.gz": gzip.compress(b"no archive" * 100)})

    faults = broken(gather(TarSource(uri="*"), tmp_path))

    assert [fault.key for fault in faults] == ["a.tar", "b.tar.gz"]
    assert all("there is no header at byte 0" in fault.reason for fault in faults)


def test_training_reads_images_and_texts_of_shards(tmp_path: Path) -> None:
    write_tar(
        tmp_path / "a.tar",
        [
            (f"{n}.{end}", c)
            for n in range(100)
            for end, c in (("png", picture(n)), ("cls", b"%d" % (n % 3)), ("txt", b"t%d" % n))
        ],
    )

    found = read_images([TarSource(uri="a.tar")], tmp_path, None)

    assert found.pixels[:, 0, 0, 0].tolist() == list(range(100))
    assert list(found.labels or ()) == [n % 3 for n in range(100)]
    assert read_documents([TarSource(uri="a.tar", contents="Text")], tmp_path)[:2] == ["t0", "t1"]
    write_tar(tmp_path / "b.tar", [("0.cls", b"1")])
    error = refused(lambda: read_images([TarSource(uri="b.tar")], tmp_path, None), "has no image")
    assert isinstance(error, DataError)
