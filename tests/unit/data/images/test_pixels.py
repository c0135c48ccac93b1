from __future__ import annotations

import gzip
import hashlib
import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from raygen.data.images.files import read_images
from raygen.data.images.pixels import ImageData, every_nth, open_data, open_domain
from raygen.data.order import Order
from raygen.errors import DataError
from raygen.machine import Memory
from raygen.spec import Images, Source, parse, resolve
from raygen.spec.data.sources import ParquetSource
from tests.budget import examples
from tests.jobs import image_job_document

ROOT = Path(__file__).parents[4]


def data_of(base: Path, **changes: Any) -> ImageData:
    return open_data(resolve(parse(image_job_document("VAE", **changes))), base, {})


def folder_job(base: Path, **images: Any) -> ImageData:
    sources = {"sources": [{"uri": "pictures", "format": "ImageFolder"}]}
    return data_of(
        base, data__train=sources, data__validation=None, data__images=images or None, evaluation__metrics=[]
    )


def save(path: Path, mode: str = "L", size: tuple[int, int] = (6, 6), **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, options.pop("color", 0)).save(path, **options)
    return path


def write_idx(path: Path, array: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
    head = struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape)
    path.write_bytes(head + array.tobytes())


def message(caught: pytest.ExceptionInfo[DataError]) -> str:
    assert caught.value.remedy
    assert caught.value.where
    return str(caught.value)


def test_mnist_in_the_repository_is_mnist() -> None:
    pixels = {
        "train": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
        "test": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    }
    for split, digest in pixels.items():
        uri = str(ROOT / f"examples/data/mnist/{split}.parquet")
        found = read_images([ParquetSource(uri=uri)], Path(), None)
        assert hashlib.sha256(found.pixels.tobytes()).hexdigest() == digest
        assert found.labels is not None
        assert set(found.labels) == set(range(10))


def test_an_epoch_deals_every_image_once_and_labels_stay_with_their_images(image_base: Path) -> None:
    data = data_of(image_base)
    assert (data.unit, data.units_per_sample, data.samples_per_epoch) == ("images", 1, 108)
    assert (data.domain.channels, data.domain.height, data.domain.classes) == (1, 16, ("0", "1", "2"))
    epoch = data.train_batch(range(108, 216)).arrays
    again = data.train_batch(range(108)).arrays
    known = {image.tobytes(): label for image, label in zip(again["images"], again["labels"], strict=True)}
    assert len(known) == 108
    assert [known[image.tobytes()] for image in epoch["images"]] == epoch["labels"].tolist()
    assert not np.array_equal(epoch["images"], again["images"])
    held = np.concatenate([part.arrays["images"] for part in data.validation_batches(5)])
    assert len(held) == 12
    assert not {image.tobytes() for image in held} & known.keys()


@examples(60)
@given(st.integers(1, 20), st.integers(0, 60), st.integers(1, 60))
def test_consecutive_positions_are_those_one_by_one(samples: int, start: int, count: int) -> None:
    order, other = Order(3, samples), Order(3, samples)
    positions = range(start, start + count)
    assert order.indices(positions).tolist() == [other.at(position)[1] for position in positions]


def test_flips_mirror_about_half_and_other_ones_each_epoch(image_base: Path) -> None:
    plain, flipped = data_of(image_base), data_of(image_base, data__images={"horizontalFlip": True})
    shares = []
    for epoch in (0, 1):
        positions = range(108 * epoch, 108 * (epoch + 1))
        before, after = (
            plain.train_batch(positions).arrays["images"],
            flipped.train_batch(positions).arrays["images"],
        )
        mirrored = (after == before[..., ::-1]).all(axis=(1, 2, 3))
        assert (mirrored | (after == before).all(axis=(1, 2, 3))).all()
        shares.append(mirrored.mean())
        part = flipped.train_batch(range(positions[20], positions[30])).arrays["images"]
        assert np.array_equal(part, after[20:30])
    assert all(0.3 < share < 0.7 for share in shares)


def test_a_run_remembers_what_its_model_must_know(image_base: Path) -> None:
    data = data_of(image_base)
    assert open_domain(data.files()) == data.domain
    for damaged in ({}, {"images.json": b"{"}, {"images.json": b'{"channels": 1}'}):
        with pytest.raises(DataError, match="missing or damaged"):
            open_domain(damaged)


def test_the_fingerprint_is_that_of_the_content(image_base: Path) -> None:
    first = data_of(image_base).fingerprint
    assert data_of(image_base).fingerprint == first
    assert data_of(image_base, data__validation={"fraction": 0.2}).fingerprint != first
    assert data_of(image_base, data__images={"size": 8}).fingerprint != first


@examples(50)
@given(st.integers(0, 200), st.floats(0.001, 0.999))
def test_every_nth_takes_its_share_evenly(count: int, share: float) -> None:
    chosen = every_nth(count, share)
    assert len(chosen) == count
    assert abs(int(chosen.sum()) - count * share) < 1.001


def test_folders_are_classes_where_every_image_is_in_one(tmp_path: Path) -> None:
    for name, colour in (("cat", 10), ("dog", 20), ("dog/more", 30)):
        save(tmp_path / f"pictures/{name}/a.png", color=colour)
    data = folder_job(tmp_path)
    batch = data.train_batch(range(3)).arrays
    assert data.domain.classes == ("cat", "dog")
    assert {(int(i[0, 0, 0]), int(n)) for i, n in zip(batch["images"], batch["labels"], strict=True)} == {
        (10, 0),
        (20, 1),
        (30, 1),
    }
    save(tmp_path / "pictures/top.bmp")
    assert folder_job(tmp_path).domain.classes == ()


def test_images_become_the_size_and_mode_that_are_asked_for(tmp_path: Path) -> None:
    save(tmp_path / "pictures/a.png", "RGB", (12, 8), color=(200, 0, 0))
    save(tmp_path / "pictures/b.jpg", "L", (20, 30), color=90)
    save(tmp_path / "pictures/c.webp", "RGBA", (3, 3), color=(1, 2, 3, 4))
    save(tmp_path / "pictures/d.png", "P", (8, 8))
    assert folder_job(tmp_path, size=8, mode="RGB").train_batch(range(4)).arrays["images"].shape == (
        4,
        3,
        8,
        8,
    )
    padded = folder_job(tmp_path, size=16, mode="Grey", fit="Pad").train_batch(range(4)).arrays["images"]
    assert padded.shape == (4, 1, 16, 16)
    assert (padded[:, :, 0, 0] == 0).all()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda p: save(p / "b.png", size=(7, 6)), r"7x6 grey.*6x6 grey"),
        (lambda p: save(p / "b.png", "RGB"), "6x6 RGB"),
        (lambda p: save(p / "b.png", "RGBA"), "6x6 RGB"),
        (lambda p: save(p / "b.tif", "F"), "mode F"),
        (lambda p: (p / "b.png").write_bytes(b"no image"), "cannot be decoded"),
        (lambda p: (p / "b.png").write_bytes((p / "a.png").read_bytes()[:40]), "cannot be decoded"),
    ],
)
def test_images_that_differ_are_named(tmp_path: Path, change: Any, expected: str) -> None:
    save(tmp_path / "pictures/a.png")
    change(tmp_path / "pictures")
    with pytest.raises(DataError, match=f"(?s){expected}") as caught:
        folder_job(tmp_path)
    assert "b." in message(caught)


def test_a_bomb_is_refused_by_its_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raygen.data.images.decoding.MAX_PIXELS", 35)
    save(tmp_path / "pictures/a.png")
    with pytest.raises(DataError, match="6x6 pixels"):
        folder_job(tmp_path)


def test_more_than_fits_into_memory_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "pictures/a.png")
    monkeypatch.setattr("raygen.machine.memory", lambda: Memory(10, 900 << 20))
    with pytest.raises(DataError, match=r"GiB are free of the container's limit of 0\.9 GiB"):
        folder_job(tmp_path)


def test_an_upright_photograph_is_turned(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    for name in ("a", "b"):
        save(tmp_path / f"pictures/{name}.jpg", size=(12, 8), exif=exif)
    assert folder_job(tmp_path).domain.height == 12


@pytest.mark.parametrize("packed", [False, True])
def test_idx_files_are_read(tmp_path: Path, packed: bool) -> None:
    pixels = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
    write_idx(tmp_path / "images", pixels)
    write_idx(tmp_path / "labels", np.array([0, 1, 2, 1, 0], dtype=np.uint8))
    if packed:
        (tmp_path / "images").write_bytes(gzip.compress((tmp_path / "images").read_bytes()))
    found = read_images([Source(uri="images", format="Idx", labels="labels")], tmp_path, None)
    assert np.array_equal(found.pixels[:, 0], pixels)
    assert found.labels == [0, 1, 2, 1, 0]
    wide = read_images([Source(uri="images", format="Idx")], tmp_path, Images(size=8, mode="RGB", fit="Pad"))
    assert wide.pixels.shape == (5, 3, 8, 8)


def test_damaged_idx_files_are_explained(tmp_path: Path) -> None:
    write_idx(tmp_path / "images", np.zeros((3, 2, 2), dtype=np.uint8))
    write_idx(tmp_path / "labels", np.zeros(2, dtype=np.uint8))
    whole = (tmp_path / "images").read_bytes()
    with pytest.raises(DataError, match="2 labels for 3 images"):
        read_images([Source(uri="images", format="Idx", labels="labels")], tmp_path, None)
    for content in (whole[:-1], whole + b"x", whole[:7], b"", b"\x00" * 30):
        (tmp_path / "images").write_bytes(content)
        with pytest.raises(DataError, match="not an idx file") as caught:
            read_images([Source(uri="images", format="Idx")], tmp_path, None)
        assert "MNIST" in message(caught)


def png(colour: int = 0) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (16, 16), colour).save(buffer, format="PNG")
    return buffer.getvalue()


def table(base: Path, labels: Any, images: Any = None, name: str = "images.parquet") -> None:
    images = [png()] * len(labels) if images is None else images
    pq.write_table(pa.table({"image": images, "label": labels}), base / name)


CONDITIONAL: dict[str, Any] = {"model__gan__conditional": True, "data__validation": None}


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([0, 1, 3, 3], "these have no image: 2"),
        ([-1, 0, 1, 0], "from -1 to 1"),
        ([0, 1, 20_000, 1], "from 0 to 20000"),
        ([0.5, 1.0, 0.0, 1.0], "type float, such as '0.5'"),
        ([0, None, 1, 1], "1 of 4 images have no label"),
    ],
)
def test_labels_that_cannot_be_used_are_refused_where_the_model_needs_them(
    tmp_path: Path, labels: Any, expected: str
) -> None:
    table(tmp_path, labels)
    with pytest.raises(DataError, match=expected) as caught:
        open_data(resolve(parse(image_job_document("GAN", **CONDITIONAL))), tmp_path, {})
    assert "abels" in message(caught) or "class" in message(caught) or "label" in message(caught)

    data = data_of(tmp_path, data__validation=None, evaluation__metrics=[])
    assert (data.samples_per_epoch, data.domain.classes) == (4, ())
    assert data.train_batch(range(4)).arrays.keys() == {"images"}
    assert [(r.action, r.unit, r.count) for r in data.remarks] == [("Skipped", "label", 4)]
    assert expected in data.remarks[0].reason
    assert str(data.remarks[0]).endswith(" (in images.parquet)")


def test_splits_that_disagree_about_labels_are_no_matter_to_a_model_without(image_base: Path) -> None:
    plain = [{"bytes": png(), "path": None}] * 2
    pq.write_table(pa.table({"image": plain}), image_base / "held.parquet")
    held = {"sources": [{"uri": "held.parquet", "format": "Parquet"}]}
    data = data_of(image_base, data__validation=held)
    assert data.domain.classes == ()
    assert "one split has labels" in str(data.remarks[0])


def test_a_label_that_only_validation_has_is_refused(image_base: Path) -> None:
    table(image_base, [0, 3], name="held.parquet")
    held = {"sources": [{"uri": "held.parquet", "format": "Parquet"}]}
    job = image_job_document("GAN", **CONDITIONAL | {"data__validation": held})
    with pytest.raises(DataError, match="'3' is not one of the training split's 3 classes"):
        open_data(resolve(parse(job)), image_base, {})


FOLDER_PRINTS = (
    "653e5df748e65b61a6e14ee3fa4fc25696ee6852af292018ab509daf3ddba0ff",
    "30993aac47d161e956e6b3ac58f001601062c3907e4d06dcfdf31ece0746bf10",
)
"""In RGB and in grey."""


def test_the_fingerprint_of_images_without_transparency_is_that_of_earlier_versions(
    tmp_path: Path, image_base: Path
) -> None:
    assert (
        data_of(image_base).fingerprint == "ebfa985f59244de767debe552cba331610edf89c8f657fa3a56d7d95441d2edc"
    )
    save(tmp_path / "pictures/a.png", "RGB", (12, 8), color=(200, 0, 0))
    save(tmp_path / "pictures/c.bmp", "P", (9, 9))
    save(tmp_path / "pictures/e.png", "1", (9, 9), color=1)
    assert folder_job(tmp_path, size=8, mode="RGB").fingerprint == FOLDER_PRINTS[0]
    assert folder_job(tmp_path, size=8, mode="Grey").fingerprint == FOLDER_PRINTS[1]
