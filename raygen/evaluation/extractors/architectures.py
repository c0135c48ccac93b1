"""Networks that a file of weights may name.

Shapes: N images, C channels, H rows, W columns, D features, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from torch import Tensor, nn

from raygen.errors import DamagedError, InputError

SMALLEST = 8
"""Rows or columns of the smallest pictures that are still halved."""
CELLS = 4
"""Rows and columns of cells whose means are what is left of a picture: enough to know a 6 from a 9."""


class Classifier(nn.Module):
    """A network whose `forward` takes images (N, C, H, W) float32, normalised, and gives features (N, D) and logits (N, K)."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features (N, D) and logits (N, K) of images (N, C, H, W)."""
        raise NotImplementedError


class ConvolutionsSettings(BaseModel):
    """What `Convolutions` is built of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: Literal[1, 3]
    """Of the images."""
    size: Annotated[int, Field(ge=4, le=256)]
    """Rows and columns of the images."""
    classes: Annotated[int, Field(ge=2, le=10_000)]
    """K."""
    widths: Annotated[tuple[Annotated[int, Field(ge=1, le=1024)], ...], Field(min_length=1, max_length=8)]
    """Channels of each convolution."""
    features: Annotated[int, Field(ge=1, le=4096)]
    """D."""


class Convolutions(Classifier):
    """A small classifier: convolutions of 3 x 3, maxima of 2 x 2, batch norm and ReLU; the means over 4 x 4 cells; a
    layer of features with batch norm and ReLU; and a linear one from them to the classes.
    """

    settings: ClassVar = ConvolutionsSettings

    def __init__(self, settings: ConvolutionsSettings) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before: int = settings.channels
        size = settings.size
        for number, width in enumerate(settings.widths, 1):
            layers.append(nn.Conv2d(before, width, 3, padding=1, bias=False))
            if number < len(settings.widths) and size >= SMALLEST:
                layers.append(nn.MaxPool2d(2))
                size //= 2
            # After the maximum, where only a quarter of the values is left.
            layers += [nn.BatchNorm2d(width), nn.ReLU()]
            before = width
        cells = CELLS * CELLS * before
        layers += [nn.AdaptiveAvgPool2d(CELLS), nn.Flatten(), nn.Linear(cells, settings.features, bias=False)]
        self.body = nn.Sequential(*layers, nn.BatchNorm1d(settings.features), nn.ReLU())
        self.head = nn.Linear(settings.features, settings.classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features (N, D) and logits (N, K) of images (N, C, H, W)."""
        features = self.body(images)
        return features, self.head(features)


Build = Callable[[Mapping[str, JsonValue]], Classifier]
"""Makes a network from its settings; what it raises of pydantic's ValidationError or ValueError says that they are wrong."""

_BUILDERS: dict[str, Build] = {
    "Convolutions": lambda settings: Convolutions(ConvolutionsSettings.model_validate(settings)),
}


def register(name: str, build: Build) -> None:
    """Lets files name another architecture in this process.

    Args:
        name: As in the files.
        build: Makes the network from the settings in the file.

    Raises:
        ValueError: there is one of that name.
    """
    if name in _BUILDERS:
        raise ValueError(f"there is an architecture {name} already")
    _BUILDERS[name] = build


def built(name: str, settings: Mapping[str, JsonValue], where: str) -> Classifier:
    """A network with random weights, in evaluation mode; the global generator stays as it was.

    Raises:
        InputError: no such architecture is known.
        DamagedError: it does not have these settings.
    """
    if name not in _BUILDERS:
        raise InputError(
            f"the architecture {name!r} is unknown; known are {', '.join(sorted(_BUILDERS))}",
            where=where,
            remedy="Register it by raygen.evaluation.extractors.register, or export the network to ONNX.",
        )
    with torch.random.fork_rng(devices=[]):
        try:
            return _BUILDERS[name](settings).eval()
        except (ValidationError, ValueError, TypeError, KeyError) as error:
            raise DamagedError(
                f"{name} cannot be built from the settings in the file: {error}", where=where
            ) from error


def load_weights(network: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Puts tensors into a network that has exactly these, in float32 where it has floats.

    Raises:
        DamagedError: there are others, of other shapes, or with values that are not finite.
    """
    wanted = network.state_dict()
    missing, strange = sorted(wanted.keys() - tensors.keys()), sorted(tensors.keys() - wanted.keys())
    wrong = [name for name in wanted.keys() & tensors.keys() if wanted[name].shape != tensors[name].shape]
    broken = [name for name, tensor in tensors.items() if not tensor.isfinite().all()]
    for names, fault in (
        (missing, "lacks tensors of its network"),
        (strange, "holds tensors that its network does not have"),
        (sorted(wrong), "holds tensors of other shapes than its network's"),
        (sorted(broken), "holds values that are NaN or infinite"),
    ):
        if names:
            raise DamagedError(
                f"the file {fault}: {', '.join(names[:3])}{f' and {len(names) - 3} more' if names[3:] else ''}",
                where=where,
                remedy="Take the file again from where it was made.",
            )
    network.load_state_dict({name: tensors[name].to(wanted[name].dtype) for name in wanted})
