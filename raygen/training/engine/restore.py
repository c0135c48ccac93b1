"""Gathers a run's networks, averages and optimizers into one checkpoint, and puts them back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor

from raygen.checkpoint import (
    Block,
    Loaded,
    load_module_state,
    load_optimizer_state,
    module_state,
    optimizer_state,
)
from raygen.errors import CheckpointError
from raygen.models.protocol import Family
from raygen.training.optimizers.updates import NetworkUpdate


def capture(
    family: Family, updates: Mapping[str, NetworkUpdate]
) -> tuple[dict[str, Tensor | Block], dict[str, Any]]:
    """What this worker writes of all tensors, by name and not copied, and the values that belong to them.

    Names: `networks/<network>/<parameter>`, `averages/<network>/<parameter>`,
    `optimizers/<network>/<optimizer>/<slot>/<parameter>`.
    """
    tensors: dict[str, Tensor | Block] = {}
    values: dict[str, Any] = {}
    for name, network in family.networks.items():
        tensors |= updates[name].spread.pieces(module_state(network, f"networks/{name}"))
    for name, update in updates.items():
        averages = {f"averages/{name}/{key}": value for key, value in update.average.items()}
        tensors |= update.spread.pieces(averages)
        for part, optimizer in update.optimizers.items():
            prefix = f"optimizers/{name}/{part}"
            found, values[prefix] = optimizer_state(update.parameters.items(), optimizer, prefix)
            tensors |= update.spread.pieces(found)
    return tensors, values


def restore(family: Family, updates: Mapping[str, NetworkUpdate], loaded: Loaded) -> None:
    """Puts a captured state back.

    Raises:
        CheckpointError: it is the state of another model or optimizer.
    """
    for name, network in family.networks.items():
        load_module_state(network, loaded.tensors, f"networks/{name}")
    for name, update in updates.items():
        for key, value in update.average.items():
            value.copy_(_tensor(loaded, f"averages/{name}/{key}", value))
        for part, optimizer in update.optimizers.items():
            prefix = f"optimizers/{name}/{part}"
            if prefix not in loaded.values["optimizers"]:
                raise CheckpointError(f"the checkpoint has no state of the optimizer {prefix}")
            values = loaded.values["optimizers"][prefix]
            load_optimizer_state(update.parameters.items(), optimizer, loaded.tensors, values, prefix)


@contextmanager
def averaged(updates: Mapping[str, NetworkUpdate]) -> Iterator[None]:
    """All networks have their averaged weights inside this context, where there are some."""
    with ExitStack() as stack:
        for update in updates.values():
            stack.enter_context(update.averaged())
        yield


def _tensor(loaded: Loaded, name: str, like: Tensor) -> Tensor:
    found = loaded.tensors.get(name)
    if found is None or found.shape != like.shape:
        raise CheckpointError(f"the checkpoint has no {name} of the shape {list(like.shape)}")
    return found
