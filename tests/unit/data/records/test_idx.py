from __future__ import annotations

import gzip
import io
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raygen.data.images.files import read_images
from raygen.errors import DataError
from raygen.spec.data.sources import PlainSource
from tests.unit.data.images.test_pixels import write_idx
from tests.unit.data.records.reading import broken, gather, sound
from tests.unit.data.text.test_documents import refused

PIXELS = np.arange(5 * 3 * 4, dtype=np.uint8).reshape(5, 3, 4)
SOURCE = PlainSource(uri="in", format="Idx", labels="labels")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    write_idx(tmp_path / "in/a", PIXELS[:2])
    write_idx(tmp_path / "b", PIXELS[2:])
    (tmp_path / "in/b.gz").write_bytes(gzip.compress((tmp_path / "b").read_bytes()))
    write_idx(tmp_path / "labels", np.array([9, 8, 7, 6, 5], dtype=np.uint8))
    return tmp_path


@pytest.mark.parametrize("size", [1, 1 << 40])
def test_pictures_become_png_with_their_labels(base: Path, size: int) -> None:
    found = sound(gather(SOURCE, base, size))

    pictures = [
        np.asarray(Image.open(io.BytesIO(record.content)))
        for record in found
        if isinstance(record.content, bytes)
    ]
    assert np.array_equal(np.stack(pictures), PIXELS)
    assert [record.label for record in found] == [9, 8, 7, 6, 5]
    assert [record.key for record in found] == ["a#0", "a#1", "b.gz#0", "b.gz#1", "b.gz#2"]
    assert found[3].where == f"{base}/in/b.gz, picture 1"
    assert np.array_equal(read_images([SOURCE], base, None).pixels[:, 0], PIXELS)


def test_of_a_file_that_is_cut_off_the_beginning_is_read(base: Path) -> None:
    path = base / "in/a"
    path.write_bytes(path.read_bytes()[:-1])

    found = gather(SOURCE, base)

    assert [record.label for record in sound(found)] == [9, 7, 6, 5]
    assert broken(found)[0].reason == "is not an idx file: it ends within picture 1 of 2 (3x4 values each)"


def test_labels_that_are_not_as_many_are_refused(base: Path) -> None:
    write_idx(base / "labels", np.zeros(4, dtype=np.uint8))

    error = refused(lambda: gather(SOURCE, base), "there are 4 labels for 5 images")

    assert isinstance(error, DataError)


@pytest.mark.parametrize("side", [2**32 - 1, 60_000])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_sides_that_no_picture_has_are_refused_before_they_take_memory(
    tmp_path: Path, side: int, pack: Callable[[bytes], bytes]
) -> None:
    (tmp_path / "a").write_bytes(pack(struct.pack(">IIII", 0x803, 1, side, side) + bytes(100)))

    error = refused(
        lambda: gather(PlainSource(uri="a", format="Idx"), tmp_path), f"have {side}x{side} values"
    )

    assert error.where == f"{tmp_path}/a"


def test_a_file_that_ends_before_its_first_picture_takes_no_memory_for_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(struct.pack(">IIII", 0x803, 9, 8_000, 8_000) + bytes(100))
    tracemalloc.start()
    try:
        (fault,) = broken(gather(PlainSource(uri="a", format="Idx"), tmp_path))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert "it ends within picture 0 of 9" in fault.reason
    assert fault.records == 9
    assert peak < 8 << 20
