"""How training steps compute on a device: the same bits every time, compiled where that is faster."""

from __future__ import annotations

import math
import os
import platform
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from raygen.errors import InputError, OutOfMemoryError
from raygen.spec import TrainingJob
from raygen.spec.families.table import FAMILIES

# A graph for each size of micro-batch: one graph for all sizes would round otherwise than the first one did, so that
# a run that goes on would differ from one that was never stopped.
COMPILE_OPTIONS = {"dynamic": False}
"""What `torch.compile` is called with."""
WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
WORKSPACES = ":4096:8"
"""As large as cuBLAS takes by itself on an H100, in the form in which PyTorch knows it to give the same bits."""

PRODUCT_TURNS = 11
"""The first of which does not count."""


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


def seed_draws(seed: int, device: torch.device) -> None:
    """Seeds PyTorch's own draws on the processor and on a device, as `torch.manual_seed` does for all devices.

    That looks at the Python stack for each kind of device that was not used yet, which takes a small step's time in hundreds.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


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
            f"out of memory: the job does not fit into the device's memory{held}",
            where=str(device),
            remedy="Set spec.training.microBatchSize, or lower it: a step stays as it is, in more passes."
            " `raygen plan` tells what a job needs. If one sample is too much, make the model smaller.",
        ) from error


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies BFloat16 in hardware, and oneDNN, which multiplies on processors, may use that.

    ATEN_CPU_CAPABILITY has no say in products. Of processors other than x86's and ARM's it is assumed.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    features = _processor_features()
    names = _UNITS.get(features.get("architecture", ""))
    if device.type != "cpu" or names is None:
        return True
    allowed = os.environ.get("ONEDNN_MAX_CPU_ISA", os.environ.get("DNNL_MAX_CPU_ISA", "ALL")).upper()
    return any(features.get(name, False) for name in names) and (
        # The names of these limits are x86's.
        names is _UNITS["arm64"]
        or allowed in ("ALL", "DEFAULT")
        or any(name in allowed for name in ("BF16", "FP16", "AMX", "AVX10"))
    )


_ARM, _X86 = ("bf16", "sve_bf16"), ("avx512_bf16", "amx_bf16")
_UNITS = {"x86_64": _X86, "amd64": _X86, "arm64": _ARM, "aarch64": _ARM}
"""What processors call their units for BFloat16, by architecture; a feature is enough (torch.cpu.get_capabilities)."""
_CPU_INFO = Path("/proc/cpuinfo")


def _processor_features() -> Mapping[str, Any]:
    known = getattr(torch.cpu, "get_capabilities", None)
    return known() if known is not None else _features_by_kernel(platform.machine(), _CPU_INFO)


def _features_by_kernel(architecture: str, path: Path) -> Mapping[str, Any]:
    """For PyTorch before 2.13, which does not tell: Linux has nearly the same names. Elsewhere nothing is known."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    flags = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    names = (flags[1] if flags else "").replace("svebf16", "sve_bf16").split()
    return {"architecture": architecture.lower()} | dict.fromkeys(names, True) if names else {}


def precision_notices(job: TrainingJob, device: str) -> list[str]:
    """A sentence for a precision that the device has no hardware for.

    Args:
        job: Fitted to the machine.
        device: Kind of this process's; GPUs of workers elsewhere are not known here.
    """
    elsewhere = device == "cpu" and job.spec.scale.gpus_per_worker > 0
    if job.spec.training.precision != "BFloat16" or elsewhere or has_bfloat16(torch.device(device)):
        return []
    told = "BFloat16 has no hardware on this machine and may take many times as long as Float32"
    return [f"spec.training.precision: {told}; `raygen plan` measures both"]


def bfloat16_speed(device: torch.device) -> float:
    """Speed of matrix products in BFloat16 over that in Float32, measured in some milliseconds.

    A layer's products, forwards and backwards; the fastest of a few turns of each, so that other work on the machine
    counts little. To be shown and never to be computed with.
    """
    size = 2048 if device.type == "cuda" else 256
    best = {torch.float32: math.inf, torch.bfloat16: math.inf}
    for turn in range(PRODUCT_TURNS):
        for kind in best:
            x, weight = (
                torch.ones(size, size, dtype=kind, device=device, requires_grad=True) for _ in range(2)
            )
            began = time.perf_counter()
            y = torch.nn.functional.linear(x, weight)
            gradient, _ = torch.autograd.grad(y, (x, weight), torch.ones_like(y))
            gradient[0, 0].item()  # waits for the device
            # The first of each loads its kernels.
            best[kind] = min(best[kind], time.perf_counter() - began) if turn else math.inf
    return best[torch.float32] / best[torch.bfloat16]


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
    return device.type == "cuda" and FAMILIES[kind].compiles and compiler is not None
