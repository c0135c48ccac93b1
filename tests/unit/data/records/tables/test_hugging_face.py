from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import datasets

from raygen.data.images.files import read_images
from raygen.data.readers import find_sources
from raygen.data.records.parts import parts_of
from raygen.data.remarks import Remarks
from raygen.errors import DataError, MissingExtraError
from raygen.spec import parse, resolve
from raygen.spec.data.sources import HuggingFaceSource
from tests.jobs import job_document
from tests.unit.data.records.reading import contents, gather, picture, sound
from tests.unit.data.text.test_documents import refused, write

TEXTS = [f"text {number}" for number in range(50)]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is asked of the hub, and nothing stays in the cache."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()


def text(uri: str, **fields: str) -> HuggingFaceSource:
    return HuggingFaceSource.model_validate({"uri": uri, "contents": "Text", **fields})


@pytest.mark.parametrize("size", [1, 1 << 40])
def test_what_save_to_disk_wrote_is_read_in_its_order(tmp_path: Path, size: int) -> None:
    datasets.Dataset.from_dict({"text": TEXTS}).save_to_disk(tmp_path / "set", num_shards=12)

    assert contents(gather(text("set"), tmp_path, size)) == TEXTS


def test_one_of_several_splits_is_read(tmp_path: Path) -> None:
    both = {name: datasets.Dataset.from_dict({"text": [name] * 3}) for name in ("train", "test")}
    datasets.DatasetDict(both).save_to_disk(tmp_path / "set")

    assert contents(gather(text("set"), tmp_path)) == ["train"] * 3
    assert contents(gather(text("set", split="test"), tmp_path)) == ["test"] * 3
    error = refused(
        lambda: gather(text("set", split="tset"), tmp_path), "no split 'tset'; there are train, test"
    )
    assert isinstance(error, DataError)


def test_images_come_as_they_are_stored_with_their_labels(tmp_path: Path) -> None:
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])}
    )
    rows: dict[str, Any] = {
        "image": [{"bytes": picture(n), "path": None} for n in range(4)],
        "label": [0, 1, 1, 0],
    }
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(tmp_path / "set")
    source = HuggingFaceSource(uri="set")

    assert [(one.content, one.label) for one in sound(gather(source, tmp_path))] == [
        (picture(n), n % 3 % 2 if n else 0) for n in (0, 1)
    ] + [(picture(2), 1), (picture(3), 0)]
    assert read_images([source], tmp_path, None).pixels[:, 0, 0, 0].tolist() == [0, 1, 2, 3]


def test_a_copy_of_a_repository_streams_shard_by_shard(tmp_path: Path) -> None:
    (tmp_path / "copy/data").mkdir(parents=True)
    for number in range(2):
        table = pa.table(
            {"image": [{"bytes": picture(n), "path": "a.png"} for n in range(3)], "text": TEXTS[:3]}
        )
        pq.write_table(table, tmp_path / f"copy/data/train-0000{number}-of-00002.parquet")
    source = text("copy")

    assert len(parts_of([source], tmp_path, Remarks())) == 2
    found = sound(gather(source, tmp_path))
    assert [record.content for record in found] == TEXTS[:3] * 2
    assert [record.key for record in found] == [
        f"train#{shard}.{row}" for shard in (0, 1) for row in range(3)
    ]
    assert contents(gather(HuggingFaceSource(uri="copy"), tmp_path))[:2] == [picture(0), picture(1)]


def test_code_of_a_data_set_is_not_run(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    write(tmp_path, {"set/set.py": f"open({str(ran)!r}, 'w')\n", "set/README.md": "---\nlicense: mit\n---\n"})

    refused(lambda: gather(text("set"), tmp_path), "cannot be read by the library datasets")
    assert not ran.exists()


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("hf://raygen-tests/there-is-none", "cannot be read by the library datasets"),
        ("hf://../folder", "no name on the hub"),
        ("hf:///etc", "no name on the hub"),
    ],
)
def test_what_the_hub_does_not_have_is_told(tmp_path: Path, uri: str, shown: str) -> None:
    error = refused(lambda: gather(text(uri), tmp_path), shown)

    assert error.where == uri
    assert "HF_TOKEN" in error.remedy


def test_a_folder_of_the_same_name_is_not_taken_for_a_name_on_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"owner/name/a.txt": "a"})
    monkeypatch.chdir(tmp_path)

    refused(lambda: gather(text("hf://owner/name"), tmp_path), "a folder owner/name is in the way")


def test_without_the_library_a_name_on_the_hub_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    monkeypatch.setattr("raygen.data.readers.find_spec", lambda name: None)
    document = job_document(
        data__train={"sources": [{"uri": "hf://owner/name", "format": "HuggingFace", "contents": "Text"}]}
    )

    for act in (
        lambda: find_sources(resolve(parse(document)), tmp_path),
        lambda: gather(text("hf://owner/name"), tmp_path),
    ):
        with pytest.raises(MissingExtraError, match="datasets is not installed") as caught:
            act()
        assert "raygen[huggingface]" in caught.value.remedy


@pytest.mark.parametrize(
    ("files", "shown"),
    [
        ({"state.json": '{"_data_files": [{"filename": "data.arrow"}]}'}, "the file data.arrow is missing"),
        ({"state.json": "{}"}, "names no files"),
        ({"state.json": "{"}, "is not JSON"),
    ],
)
def test_a_folder_that_is_not_whole_is_refused(
    tmp_path: Path, files: dict[str, str | bytes], shown: str
) -> None:
    write(tmp_path, {f"set/{name}": content for name, content in files.items()})

    refused(lambda: gather(text("set"), tmp_path), shown)
