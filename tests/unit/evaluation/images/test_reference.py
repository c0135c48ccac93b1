"""Reference statistics that are saved, loaded, refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open

from raygen.errors import DamagedError, DataError
from raygen.evaluation.images import frechet
from raygen.evaluation.images.frechet import FeatureSums, frechet_distance, sums_by_class
from raygen.evaluation.images.reference import FORMAT, ReferenceStatistics
from raygen.storage import LocalStorage, NotFoundError
from tests.budget import examples

OURS, OTHER = "a" * 64, "b" * 64
KEY = "reference.safetensors"


def statistics(count: int = 300) -> ReferenceStatistics:
    features = torch.randn(count, 5, generator=torch.Generator().manual_seed(0)) + 100
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frechet, "BLOCK", 64)
        classes = sums_by_class(features, torch.arange(count) % 40)
        return ReferenceStatistics(OURS, "f" * 64, FeatureSums.of(features), classes)


@pytest.mark.parametrize("count", [0, 1, 4, 63, 64, 300])
def test_what_is_loaded_is_what_was_saved_to_the_bit(tmp_path: Path, count: int) -> None:
    storage, saved = LocalStorage(tmp_path), statistics(count)
    saved.save(storage, KEY)
    loaded = ReferenceStatistics.load(storage, KEY, extractor=OURS)
    assert (loaded.extractor, loaded.data) == (OURS, "f" * 64)
    assert loaded.classes.keys() == saved.classes.keys()
    pairs = [
        (loaded.sums, saved.sums),
        *((loaded.classes[label], saved.classes[label]) for label in saved.classes),
    ]
    for found, expected in pairs:
        assert (found.count, found.waiting) == (expected.count, expected.waiting)
        if expected.count > 1:
            assert torch.equal(found.mean(), expected.mean())
            assert torch.equal(found.covariance(), expected.covariance())
            assert frechet_distance(found, saved.sums) == frechet_distance(expected, saved.sums)


def test_sums_that_share_tensors_are_saved(tmp_path: Path) -> None:
    sums = statistics().sums
    storage = LocalStorage(tmp_path)
    ReferenceStatistics(OURS, "", sums, {3: sums}).save(storage, KEY)
    assert ReferenceStatistics.load(storage, KEY, extractor=OURS).classes[3].count == 300


def test_any_safetensors_reader_opens_it(tmp_path: Path) -> None:
    statistics().save(LocalStorage(tmp_path), KEY)
    with safe_open(str(tmp_path / KEY), framework="pt") as file:
        assert {"all/origin", "all/offset", "all/scatter", "all/rows"} <= set(file.keys())
        assert OURS in file.metadata()[FORMAT]


def test_features_of_another_extractor_are_refused(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    statistics().save(storage, KEY)
    with pytest.raises(DataError, match=r"another extractor, aaaaaaaaaaaa and not bbbbbbbbbbbb") as refused:
        ReferenceStatistics.load(storage, KEY, extractor=OTHER)
    assert not isinstance(refused.value, DamagedError)
    assert str(tmp_path) in refused.value.where
    assert refused.value.remedy


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        ReferenceStatistics.load(LocalStorage(tmp_path), KEY, extractor=OURS)


def content(folder: Path) -> bytes:
    statistics(90).save(LocalStorage(folder), KEY)
    return (folder / KEY).read_bytes()


def harmless(folder: Path, damaged: bytes) -> bool:
    """Whether a changed file says the same: white space in JSON may be another one."""
    (folder / KEY).write_bytes(damaged)
    try:
        found = ReferenceStatistics.load(LocalStorage(folder), KEY, extractor=OURS)
    except DamagedError:
        return True
    return torch.equal(found.sums.covariance(), statistics(90).sums.covariance())


def refused(folder: Path, damaged: bytes) -> DamagedError:
    (folder / KEY).write_bytes(damaged)
    with pytest.raises(DamagedError) as error:
        ReferenceStatistics.load(LocalStorage(folder), KEY, extractor=OURS)
    assert error.value.remedy == "Compute the statistics again."
    return error.value


def test_no_altered_byte_gives_other_statistics(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("altered")
    whole = content(folder)

    @examples(60)
    @given(st.integers(0, len(whole) - 1), st.integers(1, 255))
    def check(place: int, change: int) -> None:
        altered = bytearray(whole)
        altered[place] ^= change
        assert harmless(folder, bytes(altered))

    check()


def test_a_file_that_is_cut_off_or_something_else(tmp_path: Path) -> None:
    whole = content(tmp_path)
    for length in (0, 7, 8, 100, len(whole) // 2, len(whole) - 1):
        refused(tmp_path, whole[:length])
    refused(tmp_path, b"PK\x03\x04" + whole)
    refused(tmp_path, safetensors.torch.save({"weight": torch.zeros(3)}))
    refused(tmp_path, safetensors.torch.save({"weight": torch.zeros(3)}, {FORMAT: "[]"}))


def test_counts_that_were_changed_are_found(tmp_path: Path) -> None:
    whole = content(tmp_path)
    altered = whole.replace(b'\\"folded\\": 64', b'\\"folded\\": 46')
    assert altered != whole
    assert "digest" in refused(tmp_path, altered).what
