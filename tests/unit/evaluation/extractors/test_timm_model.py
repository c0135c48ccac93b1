"""Extractors from timm's models, whose weights are random here."""

from __future__ import annotations

from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch

from raygen.errors import DamagedError, InputError
from raygen.evaluation.extractors import Timm, read_extractor
from raygen.storage import LocalStorage
from tests.unit.evaluation.extractors.files import random_images, sha256

MODEL, KEY = "test_resnet", "weights.safetensors"


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return dict(timm.create_model(MODEL, pretrained=False, num_classes=7).state_dict())


def test_features_are_those_before_the_classifier(tmp_path: Path, weights: dict[str, torch.Tensor]) -> None:
    storage = LocalStorage(tmp_path)
    storage.write(KEY, safetensors.torch.save(weights))
    state = torch.get_rng_state()
    extractor = read_extractor(storage, KEY, Timm(MODEL), sha256=sha256(storage.read(KEY)))
    assert torch.equal(torch.get_rng_state(), state)
    assert (extractor.name, extractor.classes) == (MODEL, ())

    network = timm.create_model(MODEL, pretrained=False, num_classes=7).eval()
    network.load_state_dict(weights)
    config = timm.data.resolve_model_data_config(network)
    _, height, width = config["input_size"]
    images = random_images(5, 3, height, width)
    mean, std = (torch.tensor(config[name]).view(1, 3, 1, 1) for name in ("mean", "std"))
    with torch.inference_mode():
        maps = network.forward_features((images / 255 - mean) / std)
        expected = network.forward_head(maps, pre_logits=True)
    whole = extractor.embed(images)
    torch.testing.assert_close(whole.features, expected, rtol=1e-3, atol=1e-4)
    parts = [extractor.embed(part).features for part in torch.split(images, 2)]
    assert torch.equal(torch.cat(parts), whole.features)
    assert extractor.embed(random_images(2, 1, 28, 28)).features.shape == (2, extractor.dimensions)


@pytest.mark.parametrize("model", ["no_such_model", "hf-hub:someone/something", "test_resnet.nobody"])
def test_models_that_timm_does_not_have(tmp_path: Path, weights: dict[str, torch.Tensor], model: str) -> None:
    storage = LocalStorage(tmp_path)
    storage.write(KEY, safetensors.torch.save(weights))
    with pytest.raises(InputError, match="timm"):
        read_extractor(storage, KEY, Timm(model))


def test_weights_of_another_model(tmp_path: Path, weights: dict[str, torch.Tensor]) -> None:
    storage = LocalStorage(tmp_path)
    storage.write(KEY, safetensors.torch.save(weights))
    with pytest.raises(DamagedError, match="lacks tensors"):
        read_extractor(storage, KEY, Timm("test_vit"))
    storage.write(KEY, b"something else")
    with pytest.raises(DamagedError, match="not a safetensors file"):
        read_extractor(storage, KEY, Timm(MODEL))
