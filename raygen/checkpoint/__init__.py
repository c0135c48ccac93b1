"""Checkpoints: named tensors and JSON values in, a verified folder out, and back.

One folder per step: shards (safetensors) and state.json first, manifest.json last. Nothing is
ever unpickled. Names are loaded when they are first used: to look at checkpoints and to verify them needs no PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from raygen.checkpoint.layout import Block, Slices
from raygen.checkpoint.manifest import FileRecord, Manifest, Piece, TensorRecord
from raygen.checkpoint.reader import Loaded, Skipped, copy, is_finite, latest, load
from raygen.checkpoint.retention import Direction, Folder, best_step, steps, survey

if TYPE_CHECKING:
    from raygen.checkpoint.state import load_module_state as load_module_state
    from raygen.checkpoint.state import load_optimizer_state as load_optimizer_state
    from raygen.checkpoint.state import module_state as module_state
    from raygen.checkpoint.state import optimizer_state as optimizer_state
    from raygen.checkpoint.writer import Peers as Peers
    from raygen.checkpoint.writer import Writer as Writer

_NEED_TORCH = {
    "Peers": "raygen.checkpoint.writer",
    "Writer": "raygen.checkpoint.writer",
    "load_module_state": "raygen.checkpoint.state",
    "load_optimizer_state": "raygen.checkpoint.state",
    "module_state": "raygen.checkpoint.state",
    "optimizer_state": "raygen.checkpoint.state",
}

__all__ = [
    "Block",
    "Direction",
    "FileRecord",
    "Folder",
    "Loaded",
    "Manifest",
    "Peers",
    "Piece",
    "Skipped",
    "Slices",
    "TensorRecord",
    "Writer",
    "best_step",
    "copy",
    "is_finite",
    "latest",
    "load",
    "load_module_state",
    "load_optimizer_state",
    "module_state",
    "optimizer_state",
    "steps",
    "survey",
]


def __getattr__(name: str) -> Any:
    if name not in _NEED_TORCH:
        raise AttributeError(f"module 'raygen.checkpoint' has no attribute {name!r}")
    return getattr(import_module(_NEED_TORCH[name]), name)
