"""Files of a network's weights with what the network is in the header: safetensors, with JSON inside."""

from __future__ import annotations

import json
from collections.abc import Mapping

import safetensors.torch
from pydantic import BaseModel, ConfigDict, JsonValue
from safetensors import SafetensorError
from torch import Tensor

from raygen.errors import DamagedError
from raygen.evaluation.extractors.architectures import Classifier, built, load_weights
from raygen.evaluation.extractors.extractor import ImageExtractor, checked_name, probabilities_of
from raygen.evaluation.extractors.inputs import Inputs
from raygen.evaluation.extractors.kinds import FORMAT
from raygen.evaluation.headers import metadata_of


class Header(BaseModel):
    """What a file says of its network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """What metrics call it."""
    architecture: str
    """As it was registered."""
    settings: Mapping[str, JsonValue]
    """Of the architecture."""
    inputs: Inputs
    """What it takes."""
    classes: tuple[str, ...]
    """Names of the classes, in the order of its logits."""
    data: str = ""
    """Fingerprint of what it was trained on."""
    accuracy: float | None = None
    """Share of images that were held out of training whose class it tells."""
    held_out: int = 0
    """How many those were."""
    recipe: Mapping[str, JsonValue] = {}
    """How it was trained."""


def to_bytes(network: Classifier, header: Header) -> bytes:
    """The file of a network: the same bytes for the same weights and header."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    # A single key: safetensors writes several in an order that changes from process to process.
    text = json.dumps(header.model_dump(mode="json"), sort_keys=True)
    return safetensors.torch.save(tensors, {FORMAT: text})


def tensors_of(content: bytes, where: str) -> dict[str, Tensor]:
    """The tensors of a safetensors file; DamagedError if it is cut off or something else."""
    try:
        return safetensors.torch.load(content)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise DamagedError(
            "this is not a safetensors file, or a damaged one",
            where=where,
            remedy="Take the file again from where it was made.",
        ) from error


def header_of(content: bytes, where: str) -> Header:
    """What a file says of its network.

    Raises:
        DamagedError: it is damaged, something else, or says nothing.
    """
    try:
        return Header.model_validate_json(metadata_of(content)[FORMAT])
    except (KeyError, ValueError) as error:
        fault = (
            "says nothing of its network"
            if isinstance(error, KeyError)
            else "says of its network what cannot be"
        )
        raise DamagedError(
            f"the header of the file {fault}",
            where=where,
            remedy="Take a file of raygen's recipe, or name the kind of this one.",
        ) from error


def open_network(content: bytes, sha256: str, where: str, name: str | None) -> ImageExtractor:
    """The extractor in a file.

    Raises:
        InputError: the architecture is unknown, or the name cannot be used.
        DamagedError: the file is damaged, or its tensors are not those of its network.
    """
    header = header_of(content, where)
    network = built(header.architecture, header.settings, where)
    load_weights(network, tensors_of(content, where), where)

    def model(image: Tensor) -> tuple[Tensor, Tensor | None]:
        features, logits = network(image)
        return features[0], probabilities_of(logits[0])

    called = checked_name(name or header.name, sha256, where)
    try:
        return ImageExtractor(called, sha256, header.classes, header.inputs, model, where)
    except RuntimeError as error:
        raise DamagedError("the network cannot take the inputs that its file says", where=where) from error
