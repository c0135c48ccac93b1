"""Modules and optimizers as flat named tensors, keyed by parameter name, and back, bit for bit.

Keyed by name and not by position, the state of an optimizer survives another grouping of the same
parameters. Hyperparameters are no part of it: the job file and the schedule set them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from raygen.errors import CheckpointError

_SHOWN = 3


def module_state(module: nn.Module, prefix: str = "model") -> dict[str, torch.Tensor]:
    """The module's parameters and persistent buffers as `<prefix>/<name>`, not copied."""
    return {f"{prefix}/{name}": tensor.detach() for name, tensor in module.state_dict().items()}


def load_module_state(module: nn.Module, tensors: Mapping[str, torch.Tensor], prefix: str = "model") -> None:
    """Copies `<prefix>/...` of `tensors` into `module`, which stays as it was if anything differs.

    Raises:
        CheckpointError: If names, shapes or dtypes differ, naming the first few.
    """
    own = module.state_dict()
    found = _under(tensors, prefix)
    _check_names(found, own, prefix)
    _check_tensors({name: (found[name], tensor) for name, tensor in own.items()}, prefix)
    module.load_state_dict(found)


def optimizer_state(
    named_parameters: Iterable[tuple[str, nn.Parameter]], optimizer: Optimizer, prefix: str = "optimizer"
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The optimizer's state by parameter name.

    Args:
        named_parameters: As from `module.named_parameters()`; may hold more than the optimizer has.
        optimizer: Any whose state is tensors and JSON scalars per parameter.
        prefix: Tells several optimizers of one checkpoint apart.

    Returns:
        Tensors `<prefix>/<slot>/<parameter>`, not copied, and values for `load_optimizer_state`.

    Raises:
        CheckpointError: If a parameter of the optimizer has no name.
    """
    tensors: dict[str, torch.Tensor] = {}
    slots: dict[str, dict[str, Any]] = {}
    for name, parameter in _named(named_parameters, optimizer).items():
        slots[name] = {}
        for slot, value in optimizer.state.get(parameter, {}).items():
            slots[name][slot] = None if isinstance(value, torch.Tensor) else {"value": value}
            if isinstance(value, torch.Tensor):
                tensors[f"{prefix}/{slot}/{name}"] = value.detach()
    return tensors, {"type": type(optimizer).__name__, "slots": slots}


def load_optimizer_state(
    named_parameters: Iterable[tuple[str, nn.Parameter]],
    optimizer: Optimizer,
    tensors: Mapping[str, torch.Tensor],
    values: Mapping[str, Any],
    prefix: str = "optimizer",
) -> None:
    """Replaces the optimizer's state by a saved one; hyperparameters stay as they are.

    The optimizer stays as it was if anything differs.

    Raises:
        CheckpointError: If the optimizer's type, names or shapes differ, naming the first few.
    """
    if values["type"] != type(optimizer).__name__:
        raise CheckpointError(
            f"the checkpoint holds the state of {values['type']}, not of {type(optimizer).__name__}",
            where=prefix,
            remedy="Set the optimizer that the run began with, or start a new run.",
        )
    parameters = _named(named_parameters, optimizer)
    saved: Mapping[str, Mapping[str, Any]] = values["slots"]
    _check_names(saved, parameters, prefix)
    found = _under(tensors, prefix)
    declared = {
        f"{slot}/{name}": name for name, held in saved.items() for slot, v in held.items() if v is None
    }
    _check_names(found, declared, prefix)
    # A slot is either as large as its parameter or a single number, such as the count of steps.
    sized = {k: (found[k], parameters[n]) for k, n in declared.items() if found[k].dim() > 0}
    _check_tensors(sized, prefix, dtypes=False)
    capturable = {
        p for g in optimizer.param_groups if g.get("capturable") or g.get("fused") for p in g["params"]
    }
    for name, parameter in parameters.items():
        state = optimizer.state[parameter] = {}
        for slot, held in saved[name].items():
            if held is not None:
                state[slot] = held["value"]
                continue
            # torch keeps the count of steps on the CPU unless its kernels read it on the device.
            device = parameter.device if slot != "step" or parameter in capturable else torch.device("cpu")
            state[slot] = _like(found[f"{slot}/{name}"].to(device, copy=True), parameter)
        if not state:
            del optimizer.state[parameter]


def _like(value: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """The value with the parameter's strides: fused kernels walk both through memory in the same order."""
    if value.shape != parameter.shape or value.stride() == parameter.stride():
        return value
    return torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _named(
    named_parameters: Iterable[tuple[str, nn.Parameter]], optimizer: Optimizer
) -> dict[str, nn.Parameter]:
    names = {parameter: name for name, parameter in named_parameters}
    held = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if any(parameter not in names for parameter in held):
        raise CheckpointError("the optimizer holds a parameter that is not among the named ones")
    return {names[parameter]: parameter for parameter in held}


def _under(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    start = f"{prefix}/"
    return {name.removeprefix(start): t for name, t in tensors.items() if name.startswith(start)}


def _check_names(found: Iterable[str], expected: Iterable[str], where: str) -> None:
    found, expected = set(found), set(expected)
    parts = []
    if missing := sorted(expected - found):
        parts.append(f"lacks {_few(missing)}")
    if unexpected := sorted(found - expected):
        parts.append(f"has {_few(unexpected)}, which the model does not have")
    if parts:
        raise CheckpointError(f"the checkpoint {' and '.join(parts)}", where=where, remedy=_REMEDY)


def _check_tensors(
    pairs: Mapping[str, tuple[torch.Tensor, torch.Tensor]], where: str, *, dtypes: bool = True
) -> None:
    faults = [
        f"{name} ({_described(saved)} in the checkpoint, {_described(own)} in the model)"
        for name, (saved, own) in sorted(pairs.items())
        if saved.shape != own.shape or (dtypes and saved.dtype != own.dtype)
    ]
    if faults:
        raise CheckpointError(f"these tensors differ: {_few(faults)}", where=where, remedy=_REMEDY)


_REMEDY = "Use the model and optimizer settings that the checkpoint was written with, or start a new run."


def _described(tensor: torch.Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


def _few(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
