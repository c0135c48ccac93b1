"""MNIST from the file that the environment names."""

from __future__ import annotations

import os
from collections.abc import Callable

from safetensors.torch import load_file
from torch import Tensor
from torch.utils.data import TensorDataset

PEER_IMAGES = "PEER_IMAGES"
"""Names a safetensors file with `images` (N, 1, 28, 28), uint8, and `labels` (N,). Set by peers/turns.py."""


class MNIST(TensorDataset):
    """The file's images, transformed once; both splits are the same, since no split but `train` is measured."""

    def __init__(
        self,
        root: str,  # noqa: ARG002
        train: bool = True,  # noqa: ARG002
        download: bool = False,  # noqa: ARG002
        transform: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        stored = load_file(os.environ[PEER_IMAGES])
        images = stored["images"]
        super().__init__(transform(images) if transform is not None else images, stored["labels"])
