"""Checkpoints: named tensors and JSON values in, a verified folder out, and back.

One folder per step: shards (safetensors) and state.json first, manifest.json last. Nothing is
ever unpickled.
"""

from __future__ import annotations

from raygen.checkpoint.layout import Block, Slices
from raygen.checkpoint.manifest import FileRecord, Manifest, Piece, TensorRecord
from raygen.checkpoint.reader import Loaded, Skipped, latest, load, verify
from raygen.checkpoint.retention import Direction, Folder, best_step, steps, survey
from raygen.checkpoint.state import (
    load_module_state,
    load_optimizer_state,
    module_state,
    optimizer_state,
)
from raygen.checkpoint.writer import Peers, Writer

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
    "latest",
    "load",
    "load_module_state",
    "load_optimizer_state",
    "module_state",
    "optimizer_state",
    "steps",
    "survey",
    "verify",
]
