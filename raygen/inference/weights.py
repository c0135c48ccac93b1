"""The weights of a checkpoint, put into a model for use."""

from __future__ import annotations

import torch

from raygen.checkpoint import Loaded, load_module_state
from raygen.models.protocol import Family


def restore_weights(family: Family, loaded: Loaded) -> None:
    """Loads a checkpoint's weights for use: the averaged ones where there are some.

    Raises:
        CheckpointError: they are those of another model.
    """
    for name, network in family.networks.items():
        load_module_state(network, loaded.tensors, f"networks/{name}")
        with torch.no_grad():
            for key, parameter in network.named_parameters():
                average = loaded.tensors.get(f"averages/{name}/{key}")
                if average is not None:
                    parameter.copy_(average)
