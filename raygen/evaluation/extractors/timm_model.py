"""Extractors from timm's models, with weights from a file at hand."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from raygen.errors import InputError, MissingExtraError
from raygen.evaluation.extractors.architectures import load_weights
from raygen.evaluation.extractors.extractor import ImageExtractor, checked_name
from raygen.evaluation.extractors.inputs import Inputs
from raygen.evaluation.extractors.kinds import Timm
from raygen.evaluation.extractors.network import tensors_of


def open_timm(content: bytes, sha256: str, where: str, kind: Timm, name: str | None) -> ImageExtractor:
    """One of timm's models with weights from a file; nothing is ever downloaded.

    Images are resized to the model's whole input, and nothing is cropped, unlike when its accuracy was measured.

    Raises:
        MissingExtraError: timm is not installed.
        InputError: timm has no such model, or it takes neither grey nor colour images.
        DamagedError: the file is damaged, or its tensors are not those of the model.
    """
    network, inputs, heads = _made(kind.model, where)
    tensors = tensors_of(content, where)
    wanted = network.state_dict().keys()
    # Files of whole models have the classifier too, which is not used here.
    spare = {name for name in tensors if name not in wanted and name.startswith(heads)}
    load_weights(network, {name: tensor for name, tensor in tensors.items() if name not in spare}, where)

    def model(image: Tensor) -> tuple[Tensor, Tensor | None]:
        return network(image)[0].float(), None

    return ImageExtractor(checked_name(name or kind.model, sha256, where), sha256, (), inputs, model, where)


def _made(model: str, where: str) -> tuple[nn.Module, Inputs, tuple[str, ...]]:
    """A model without its classifier, what it takes, and how tensors of the classifier begin."""
    try:
        import timm
        import timm.data
    except ImportError as error:
        raise MissingExtraError("timm", "timm") from error
    # A name with a scheme would be fetched from a hub.
    if ":" in model or not timm.is_model(model):
        raise InputError(
            f"timm {timm.__version__} has no model {model!r}",
            where=where,
            remedy="Take one of timm.list_models(), without a scheme in front.",
        )
    with torch.random.fork_rng(devices=[]):
        try:
            network = timm.create_model(model, pretrained=False, num_classes=0).eval()
        except RuntimeError as error:
            raise InputError(f"timm cannot make {model!r}: {error}", where=where) from error
    heads = network.pretrained_cfg.get("classifier") or ()
    names = (heads,) if isinstance(heads, str) else tuple(heads)
    said = timm.data.resolve_model_data_config(network)
    channels, height, width = said["input_size"]
    if channels not in (1, 3):
        raise InputError(f"{model} takes images of {channels} channels", where=where)
    inputs = Inputs(
        channels=channels,
        height=height,
        width=width,
        mean=tuple(said["mean"]),
        std=tuple(said["std"]),
        interpolation="bilinear" if said["interpolation"] == "bilinear" else "bicubic",
    )
    return network, inputs, tuple(f"{name}." for name in names)
