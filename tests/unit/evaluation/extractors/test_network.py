"""Extractors from files of our own: what is opened, what is refused, and that an image's features are its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from raygen.errors import DamagedError, InputError, MissingExtraError
from raygen.evaluation.extractors import (
    Classifier,
    Kind,
    Onnx,
    Timm,
    open_extractor,
    read_extractor,
    register,
)
from raygen.evaluation.extractors.extractor import KNOWN, checked_name
from raygen.evaluation.extractors.kinds import FORMAT
from raygen.evaluation.extractors.network import to_bytes
from raygen.storage import LocalStorage, NotFoundError
from tests.budget import examples
from tests.unit.evaluation.extractors.files import CLASSES, header, network_file, random_images, sha256

KEY = "pets.safetensors"


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    LocalStorage(tmp_path).write(KEY, network_file())
    return LocalStorage(tmp_path)


def test_what_an_extractor_says_of_itself(storage: LocalStorage, tmp_path: Path) -> None:
    content = network_file()
    found = open_extractor(f"{tmp_path}/{KEY}", sha256=sha256(content).upper())
    assert (found.name, found.sha256, found.dimensions) == ("pets", sha256(content), 20)
    assert found.classes == CLASSES
    embedded = found.embed(random_images(5))
    assert embedded.features.shape == (5, 20)
    assert embedded.features.dtype == torch.float32
    assert embedded.probabilities is not None
    torch.testing.assert_close(embedded.probabilities.sum(dim=1), torch.ones(5))
    assert open_extractor(f"file://{tmp_path}/{KEY}", name="animals").name == "animals"


def test_no_image_is_no_error(storage: LocalStorage) -> None:
    found = read_extractor(storage, KEY).embed(random_images(0))
    assert found.features.shape == (0, 20)


@pytest.mark.parametrize("size", [12, 17])
def test_the_same_bits_for_batches_of_any_size_and_order_and_any_number_of_threads(
    storage: LocalStorage, size: int
) -> None:
    extractor, images = read_extractor(storage, KEY), random_images(67, 1, size, size)
    whole = extractor.embed(images)
    order = torch.randperm(67, generator=torch.Generator().manual_seed(3))
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        for batch in (1, 7, 64):
            parts = [extractor.embed(part) for part in torch.split(images[order], batch)]
            assert torch.equal(torch.cat([part.features for part in parts]), whole.features[order])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_what_the_caller_has_switched_on_changes_nothing(storage: LocalStorage) -> None:
    extractor, images = read_extractor(storage, KEY), random_images(3)
    state = torch.get_rng_state()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = extractor.embed(images).features
    assert torch.equal(inside, extractor.embed(images).features)
    assert not inside.requires_grad
    assert torch.equal(torch.get_rng_state(), state)
    inside += 1


def test_grey_becomes_three_channels_and_other_sizes_are_resized(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    storage.write(KEY, network_file(channels=3))
    extractor = read_extractor(storage, KEY)
    grey = random_images(4)
    assert torch.equal(extractor.embed(grey).features, extractor.embed(grey.expand(-1, 3, -1, -1)).features)
    # Pixels of one colour stay that colour in any size and proportion.
    plain = torch.full((1, 3, 12, 12), 200, dtype=torch.uint8)
    larger = torch.full((1, 3, 40, 31), 200, dtype=torch.uint8)
    torch.testing.assert_close(extractor.embed(larger).features, extractor.embed(plain).features)


def test_stripes_too_fine_for_the_size_become_grey(storage: LocalStorage) -> None:
    extractor = read_extractor(storage, KEY)
    stripes = torch.zeros((1, 1, 48, 48), dtype=torch.uint8)
    stripes[..., ::2] = 255
    grey = torch.full((1, 1, 48, 48), 128, dtype=torch.uint8)
    near = (extractor.embed(stripes).features - extractor.embed(grey).features).norm()
    far = (extractor.embed(stripes[..., ::4, ::4]).features - extractor.embed(grey).features).norm()
    assert near < 0.2 * far


def test_images_that_cannot_be_taken(storage: LocalStorage) -> None:
    extractor = read_extractor(storage, KEY)
    with pytest.raises(InputError, match="would not see the colours"):
        extractor.embed(random_images(2, 3))
    for images in (
        random_images(2).float(),
        random_images(2)[0],
        random_images(2, 4),
        random_images(2, 1, 0),
    ):
        with pytest.raises(ValueError, match="images"):
            extractor.embed(images)


def test_another_file_than_the_one_asked_for(storage: LocalStorage) -> None:
    found = sha256(network_file())
    with pytest.raises(InputError) as refused:
        read_extractor(storage, KEY, sha256="a" * 64)
    assert found in refused.value.what
    assert "a" * 64 in refused.value.what
    assert not isinstance(refused.value, DamagedError)


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        open_extractor(f"{tmp_path}/none.safetensors")
    with pytest.raises(InputError, match="folder"):
        open_extractor(f"{tmp_path}/")


def refused(folder: Path, content: bytes) -> DamagedError:
    (folder / KEY).write_bytes(content)
    with pytest.raises(DamagedError) as error:
        read_extractor(LocalStorage(folder), KEY)
    assert KEY in error.value.where
    return error.value


def test_damaged_files(tmp_path: Path) -> None:
    whole = network_file()
    for length in (0, 7, 8, 100, len(whole) // 2, len(whole) - 1):
        refused(tmp_path, whole[:length])
    tensors = safetensors.torch.load(whole)
    text = header().model_dump_json()
    refused(tmp_path, safetensors.torch.save(tensors))
    refused(tmp_path, safetensors.torch.save(tensors, {FORMAT: "[]"}))
    refused(tmp_path, safetensors.torch.save({**tensors, "more": torch.zeros(1)}, {FORMAT: text}))
    fewer = {name: tensor for name, tensor in tensors.items() if name != "head.bias"}
    assert "head.bias" in refused(tmp_path, safetensors.torch.save(fewer, {FORMAT: text})).what
    other = {**tensors, "head.bias": torch.zeros(4)}
    assert "shapes" in refused(tmp_path, safetensors.torch.save(other, {FORMAT: text})).what
    broken = {**tensors, "head.bias": torch.full((3,), torch.nan)}
    assert "NaN" in refused(tmp_path, safetensors.torch.save(broken, {FORMAT: text})).what
    refused(tmp_path, network_file(classes=("cat",)))
    refused(tmp_path, network_file(settings={"channels": 1, "size": 12, "widths": [10**9]}))


def test_no_altered_byte_passes_as_the_same_file(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("altered")
    whole = network_file()

    @examples(60)
    @given(st.integers(0, len(whole) - 1), st.integers(1, 255))
    def check(place: int, change: int) -> None:
        altered = bytearray(whole)
        altered[place] ^= change
        (folder / KEY).write_bytes(altered)
        with pytest.raises(InputError, match="SHA-256"):
            read_extractor(LocalStorage(folder), KEY, sha256=sha256(whole))
        try:
            found = read_extractor(LocalStorage(folder), KEY)
        except InputError:
            return
        assert found.sha256 != sha256(whole)

    check()


def test_an_unknown_architecture_and_one_that_was_registered(tmp_path: Path) -> None:
    class Bright(Classifier):
        def __init__(self) -> None:
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(3))

        def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
            mean = images.mean(dim=(1, 2, 3))[:, None]
            return mean, mean * self.scale

    storage = LocalStorage(tmp_path)
    storage.write(KEY, to_bytes(Bright(), header(architecture="Bright")))
    with pytest.raises(InputError, match="'Bright' is unknown; known are Convolutions") as error:
        read_extractor(storage, KEY)
    assert not isinstance(error.value, DamagedError)
    register("Bright", lambda settings: Bright())
    assert read_extractor(storage, KEY).dimensions == 1
    with pytest.raises(ValueError, match="already"):
        register("Bright", lambda settings: Bright())


@pytest.mark.parametrize(
    ("package", "extra", "kind"), [("onnxruntime", "onnx", Onnx()), ("timm", "timm", Timm("resnet18"))]
)
def test_what_is_not_installed(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch, package: str, extra: str, kind: Kind
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError) as error:
        read_extractor(storage, KEY, kind)
    assert f"raygen[{extra}]" in error.value.remedy


@pytest.mark.parametrize("name", ["Inception", "inception_v3", "FID", "", "a b", "x" * 65, "[x]"])
def test_names_that_are_refused(storage: LocalStorage, name: str) -> None:
    with pytest.raises(InputError, match="name"):
        checked_name(name, "a" * 64, "here")


def test_inception_is_named_by_its_hash_alone() -> None:
    ((known, name),) = KNOWN.items()
    assert known.startswith("6726825d")
    assert checked_name("mine", known, "") == name == "Inception"
