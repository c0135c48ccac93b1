"""Where the parts of a tensor lie in it: offsets and extents, one number per dimension."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Block:
    """One worker's part of a tensor that is spread over several.

    Attributes:
        tensor: The part, on any device.
        offsets: Where it begins in the whole tensor, one number per dimension.
        shape: The whole tensor's shape.
    """

    tensor: torch.Tensor
    offsets: tuple[int, ...]
    shape: tuple[int, ...]
