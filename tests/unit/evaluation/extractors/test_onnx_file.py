"""Extractors in ONNX files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from raygen.errors import DamagedError, InputError
from raygen.evaluation.extractors import Inputs, Onnx, open_extractor, read_extractor
from raygen.evaluation.extractors.kinds import FORMAT
from raygen.storage import LocalStorage
from tests.unit.evaluation.extractors.files import CLASSES, random_images, sha256

INPUTS = Inputs(channels=3, height=8, width=8, mean=(0.5,) * 3, std=(0.25,) * 3)
WEIGHTS = np.random.default_rng(0).normal(size=(10, 3, 3, 3)).astype(np.float32)
KEY = "texture.onnx"


def model(batch: int | str = "N", said: dict[str, object] | None = None) -> onnx.ModelProto:
    """A convolution whose means are features, and of which the first three are logits."""
    nodes = [
        helper.make_node("Conv", ["images", "weights"], ["maps"]),
        helper.make_node("Relu", ["maps"], ["bright"]),
        helper.make_node("GlobalAveragePool", ["bright"], ["features"]),
        helper.make_node("Flatten", ["features"], ["flat"]),
        helper.make_node("Slice", ["flat", "zero", "three", "one"], ["logits"]),
    ]
    numbers = {"zero": 0, "three": 3, "one": 1}
    constants = [numpy_helper.from_array(np.array([value]), name) for name, value in numbers.items()]
    graph = helper.make_graph(
        nodes,
        "texture",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 3, 8, 8])],
        [
            helper.make_tensor_value_info("features", TensorProto.FLOAT, None),
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, None),
        ],
        [numpy_helper.from_array(WEIGHTS, "weights"), *constants],
    )
    graph.node[4].input[3:] = ["one"]
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    if said is not None:
        helper.set_model_props(made, {FORMAT: json.dumps(said)})
    return made


def written(folder: Path, made: onnx.ModelProto) -> LocalStorage:
    (folder / KEY).write_bytes(made.SerializeToString())
    return LocalStorage(folder)


def test_features_are_those_of_the_model_and_named_by_the_file(tmp_path: Path) -> None:
    storage = written(tmp_path, model())
    found = open_extractor(f"{tmp_path}/{KEY}", Onnx(inputs=INPUTS))
    assert (found.name, found.sha256) == ("texture", sha256(storage.read(KEY)))
    assert (found.dimensions, found.classes) == (10, ())
    images = random_images(5, 3, 8, 8)
    expected = torch.nn.functional.conv2d((images / 255 - 0.5) / 0.25, torch.from_numpy(WEIGHTS)).relu()
    embedded = found.embed(images)
    torch.testing.assert_close(embedded.features, expected.mean(dim=(2, 3)))
    assert embedded.probabilities is None


def test_what_the_metadata_say_and_a_call_wins_over(tmp_path: Path) -> None:
    said: dict[str, object] = {
        "name": "texture-3",
        "inputs": INPUTS.model_dump(mode="json"),
        "logits": "logits",
        "classes": CLASSES,
    }
    storage = written(tmp_path, model(said=said))
    found = read_extractor(storage, KEY)
    assert (found.name, found.classes) == ("texture-3", CLASSES)
    embedded = found.embed(random_images(4, 1, 20, 20))
    assert embedded.probabilities is not None
    torch.testing.assert_close(embedded.probabilities, embedded.features[:, :3].softmax(dim=1))
    assert read_extractor(storage, KEY, Onnx(name="a"), name="b").name == "b"


@pytest.mark.parametrize("batch", ["N", 1, 5])
def test_the_same_bits_for_batches_of_any_size(tmp_path: Path, batch: int | str) -> None:
    extractor = read_extractor(written(tmp_path, model(batch)), KEY, Onnx(inputs=INPUTS))
    images = random_images(67, 3, 8, 8)
    whole = extractor.embed(images).features
    for size in (1, 7, 64):
        parts = [extractor.embed(part).features for part in torch.split(images, size)]
        assert torch.equal(torch.cat(parts), whole)


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    storage = written(tmp_path, model())
    whole = storage.read(KEY)
    for content in (b"", b"PK\x03\x04", whole[: len(whole) // 2]):
        storage.write(KEY, content)
        with pytest.raises(DamagedError):
            read_extractor(storage, KEY, Onnx(inputs=INPUTS))
    storage.write(KEY, model(said={"inputs": 3}).SerializeToString())
    with pytest.raises(DamagedError, match="metadata"):
        read_extractor(storage, KEY)
    with pytest.raises(InputError, match="SHA-256"):
        read_extractor(storage, KEY, sha256="b" * 64)


def test_weights_outside_the_file_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Where they would be found: the hash of the file says nothing of them.
    monkeypatch.chdir(tmp_path)
    onnx.save_model(model(), KEY, save_as_external_data=True, location="weights.bin", size_threshold=500)
    assert (tmp_path / "weights.bin").stat().st_size >= WEIGHTS.nbytes
    with pytest.raises(DamagedError, match="cannot open") as error:
        open_extractor(KEY, Onnx(inputs=INPUTS))
    assert "weights have to be in it" in error.value.remedy


def test_what_does_not_fit_the_model(tmp_path: Path) -> None:
    storage = written(tmp_path, model())
    with pytest.raises(InputError, match="says what images"):
        read_extractor(storage, KEY)
    with pytest.raises(InputError, match="no output 'pool'; it has features, logits"):
        read_extractor(storage, KEY, Onnx(inputs=INPUTS, features="pool"))
    grey = Inputs(channels=1, height=8, width=8, mean=(0.0,), std=(1.0,))
    with pytest.raises(InputError, match=r"images: tensor\(float\)"):
        read_extractor(storage, KEY, Onnx(inputs=grey))
    with pytest.raises(DamagedError, match="3 probabilities"):
        read_extractor(storage, KEY, Onnx(inputs=INPUTS, logits="logits", classes=("cat",)))
