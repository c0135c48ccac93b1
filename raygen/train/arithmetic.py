"""How training steps compute on a device: the same bits every time, compiled where that is faster."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from raygen.errors import InputError, OutOfMemoryError

# A graph for each size of micro-batch: one graph for all sizes would round otherwise than the first one did, so that
# a run that goes on would differ from one that was never stopped.
COMPILE_OPTIONS = {"dynamic": False}
"""What `torch.compile` is called with."""
WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
WORKSPACES = ":4096:8"
"""As large as cuBLAS takes by itself on an H100, in the form in which PyTorch knows it to give the same bits."""


@contextmanager
def repeatable(device: torch.device, *, strict: bool = True) -> Iterator[None]:
    """Equal work gives equal bits inside this context, in any process.

    Other devices than CUDA do so by themselves. On CUDA, kernels that add up in no fixed order are replaced, those of
    attention and of embeddings for instance. There, Float32 matrix products round their factors to TF32, as
    convolutions do by default: the same exponent, 10 bits of mantissa, sums in Float32.

    Args:
        device: Where the work is done.
        strict: Whether an operation that has no such kernel is an error; else PyTorch warns of it.
    """
    if device.type != "cuda":
        yield
        return
    os.environ.setdefault(WORKSPACE, WORKSPACES)
    settings: Any = torch.utils.deterministic
    mode = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    precision, fill = torch.get_float32_matmul_precision(), settings.fill_uninitialized_memory
    try:
        torch.use_deterministic_algorithms(mode=True, warn_only=not strict)
        torch.set_float32_matmul_precision("high")
        # Finds code that reads what nobody wrote, and costs a pass over every new tensor.
        settings.fill_uninitialized_memory = False
        yield
    finally:
        settings.fill_uninitialized_memory = fill
        torch.set_float32_matmul_precision(precision)
        torch.use_deterministic_algorithms(mode, warn_only=warn_only)


@contextmanager
def memory_explained(device: torch.device) -> Iterator[None]:
    """A device whose memory is full becomes an error with a remedy.

    Raises:
        OutOfMemoryError: it is.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        held = ""
        if device.type == "cuda":
            free, total = torch.cuda.mem_get_info(device)
            held = f" of {total / 2**30:.1f} GiB, {free / 2**30:.1f} GiB free"
        raise OutOfMemoryError(
            f"the memory of the device{held} does not hold the job",
            where=str(device),
            remedy="Set spec.training.microBatchSize, or lower it: a step stays as it is, in more passes."
            " `raygen plan` tells what a job needs. If one sample is too much, make the model smaller.",
        ) from error


def should_compile(mode: str, device: torch.device, kind: str) -> bool:
    """Whether to use torch.compile, given `training.compile` and `model.type`.

    Raises:
        InputError: `Always`, but there is no compiler.
    """
    if mode == "Never":
        return False
    compiler = shutil.which(os.environ.get("CXX", "c++")) or shutil.which("g++") or shutil.which("clang++")
    if mode == "Always":
        if compiler is None:
            raise InputError(
                "torch.compile needs a C++ compiler, and none was found",
                where="spec.training.compile",
                remedy="Install g++ or clang++, or set compile: Auto.",
            )
        return True
    # On CPU it gains nothing for small models: 46.9 against 40.1 ms a step, and 34 s to compile.
    # On CUDA a DCGAN's step has nearly as many kernels as before, 416 against 454, and each of its forms (real, generated,
    # frozen) has to be compiled.
    return device.type == "cuda" and kind not in ("GAN", "VAE") and compiler is not None
