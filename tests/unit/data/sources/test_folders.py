from __future__ import annotations

from pathlib import Path

import pytest

from raygen.data.remarks import Remarks
from raygen.data.sources.files import find_files
from raygen.errors import DataError
from raygen.spec import Source
from raygen.storage import LocalStorage


def found(base: Path, uri: str) -> tuple[list[str], list[str]]:
    """Paths of the files below the base, and what was left out."""
    remarks = Remarks()
    files = find_files(Source(uri=uri, format="ImageFolder"), base, remarks)
    return (
        [str(file).removeprefix(f"{base}/") for file in files],
        [str(remark).replace(f"{base}/", "") for remark in remarks.all()],
    )


def touch(base: Path, *names: str) -> None:
    for name in names:
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_bytes(b"x")


def test_links_to_folders_and_files_are_followed_wherever_they_lead(tmp_path: Path) -> None:
    touch(tmp_path, "disk2/dogs/a.png", "disk2/b.png", "pets/cats/c.png")
    (tmp_path / "pets/dogs").symlink_to("../disk2/dogs")
    (tmp_path / "pets/cats/b.png").symlink_to(tmp_path / "disk2/b.png")

    assert found(tmp_path, "pets") == (["pets/cats/b.png", "pets/cats/c.png", "pets/dogs/a.png"], [])
    assert found(tmp_path, "pets/**/*.png") == found(tmp_path, "pets")
    files = find_files(Source(uri="pets", format="ImageFolder"), tmp_path, Remarks())
    assert {file.inner[0] for file in files} == {"cats", "dogs"}, "the link's name is the class"


@pytest.mark.parametrize("uri", ["tree", "tree/**"])
def test_links_in_a_circle_are_named_and_each_file_is_there_once(tmp_path: Path, uri: str) -> None:
    touch(tmp_path, "tree/a.png", "tree/in/b.png", "other/c.png")
    (tmp_path / "tree/in/up").symlink_to("..")
    (tmp_path / "tree/other").symlink_to("../other")
    (tmp_path / "other/back").symlink_to("../tree")

    assert found(tmp_path, uri) == (
        ["tree/a.png", "tree/in/b.png", "tree/other/c.png"],
        ["2 links skipped: it leads to a folder that it is in (tree/other/back, tree/in/up)"],
    )


@pytest.mark.parametrize("uri", ["tree", "tree/*", "tree/**"])
def test_links_that_lead_nowhere_are_named(tmp_path: Path, uri: str) -> None:
    touch(tmp_path, "tree/a.png")
    (tmp_path / "tree/gone").symlink_to("missing")
    (tmp_path / "tree/self").symlink_to("self")

    files, remarks = found(tmp_path, uri)

    assert files == ["tree/a.png"]
    assert len(remarks) == 1
    assert remarks[0].startswith("2 links skipped: it leads nowhere (")


def test_names_that_begin_with_an_underscore_are_data_and_those_of_systems_are_named(tmp_path: Path) -> None:
    touch(tmp_path, "in/_DSC0004.JPG", "in/__cats/_MG_1.jpg", "in/a.png")
    touch(
        tmp_path,
        "in/._a.png",
        "in/.DS_Store",
        "in/THUMBS.DB",
        "in/_SUCCESS",
        "in/.git/x",
        "in/__MACOSX/b.png",
    )

    files, remarks = found(tmp_path, "in")

    assert files == ["in/_DSC0004.JPG", "in/__cats/_MG_1.jpg", "in/a.png"]
    assert sorted(remarks) == [
        "2 folders skipped: hidden, or written by the system (in/.git/, in/__MACOSX/)",
        "4 files skipped: hidden, or written by the system (in/.DS_Store, in/._a.png, in/THUMBS.DB, in/_SUCCESS)",
    ]


@pytest.mark.parametrize("uri", ["in/*", "in/**", "in/**/.*", "i*/Thumbs.db"])
def test_what_systems_leave_is_no_data_of_a_pattern_either(tmp_path: Path, uri: str) -> None:
    touch(tmp_path, "in/a.png", "in/.a", "in/Thumbs.db")

    remarks = Remarks()
    try:
        files = find_files(Source(uri=uri), tmp_path, remarks)
    except DataError:
        files = []

    named = {"in/**/.*": [".a"], "i*/Thumbs.db": ["Thumbs.db"]}
    assert [Path(str(file)).name for file in files] == named.get(uri, ["a.png"])
    left_out = [remark.examples for remark in remarks.all()]
    assert left_out == ([] if uri in named else [(f"{tmp_path}/in/Thumbs.db",)])


PATTERNS = [
    ("*/*.jpg", ["cats/a.jpg"], 3),
    ("t/*/*.jpg", ["t/dogs/d.jpg"], 2),
    ("t/_metadata/*.jpg", ["t/_metadata/c.jpg"], 0),
    ("*/_metadata/*", ["t/_metadata/c.jpg"], 0),
    ("**/_metadata/*.jpg", ["t/_metadata/c.jpg"], 0),
    ("*/_meta*/*", [], 1),
    ("t/**/.x/*.jpg", ["t/.x/e.jpg"], 0),
]


@pytest.mark.parametrize(("uri", "expected", "left_out"), PATTERNS)
@pytest.mark.parametrize("stored", [False, True])
def test_folders_of_systems_are_data_where_a_pattern_names_them_only(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    uri: str,
    expected: list[str],
    left_out: int,
    stored: bool,
) -> None:
    touch(tmp_path, "@eaDir/a.jpg", "__MACOSX/a.jpg", "$RECYCLE.BIN/b.jpg", "cats/a.jpg", "t/_metadata/c.jpg")
    touch(tmp_path, "t/_temporary/c.jpg", "t/dogs/d.jpg", "t/.x/e.jpg")
    monkeypatch.setattr("raygen.data.sources.files.open_storage", lambda uri: LocalStorage(tmp_path))
    remarks = Remarks()
    try:
        files = [
            str(file)
            for file in find_files(Source(uri=f"s3://b/{uri}" if stored else uri), tmp_path, remarks)
        ]
    except DataError:
        files = []

    assert [name.partition(f"{tmp_path}/")[2] for name in files] == expected
    assert sum(remark.count for remark in remarks.all()) == left_out
    assert {remark.reason for remark in remarks.all()} <= {"hidden, or written by the system"}


def test_a_folder_of_a_system_that_a_pattern_ends_at_gets_no_advice(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.png", "in/@eaDir/a.png")

    assert found(tmp_path, "in/*") == (
        ["in/a.png"],
        ["1 folder skipped: hidden, or written by the system (in/@eaDir/)"],
    )


def test_folders_that_a_pattern_ends_at_are_named(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.png", "in/cats/b.png")

    assert found(tmp_path, "in/*") == (
        ["in/a.png"],
        ["1 folder skipped: the pattern ends at it; `/**` after it reads what is inside (in/cats/)"],
    )
    with pytest.raises(DataError, match=r"no files; 1 folder skipped.*in/cats/"):
        found(tmp_path, "i*/cats")


def test_of_many_parts_the_first_are_named_and_the_rest_is_counted() -> None:
    remarks = Remarks()
    for number in range(1234):
        remarks.skipped("file", "it is not an image", f"{number}.txt")
    remarks.converted("image", "it was deep", "a\x1b[31m\udcff.png")

    assert [str(remark) for remark in remarks.all()] == [
        "1,234 files skipped: it is not an image (0.txt, 1.txt, 2.txt, 3.txt, 4.txt and 1,229 more)",
        "1 image converted: it was deep (a\\x1b[31m\\udcff.png)",
    ]
