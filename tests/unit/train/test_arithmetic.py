"""How a device computes; what needs a CUDA device is in tests/cuda."""

from __future__ import annotations

import contextlib
import shutil
from typing import Any

import pytest
import torch

from raygen.errors import InputError, OutOfMemoryError
from raygen.train.arithmetic import memory_explained, repeatable, should_compile

CPU = torch.device("cpu")
CUDA = torch.device("cuda")


def settings() -> tuple[Any, ...]:
    fill: Any = torch.utils.deterministic
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.get_float32_matmul_precision(),
        fill.fill_uninitialized_memory,
    )


def test_on_the_cpu_nothing_changes() -> None:
    before = settings()
    with repeatable(CPU):
        assert settings() == before


@pytest.mark.parametrize("strict", [True, False])
def test_on_cuda_settings_change_and_come_back(monkeypatch: pytest.MonkeyPatch, *, strict: bool) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    before = settings()
    with contextlib.suppress(KeyError), repeatable(CUDA, strict=strict):
        assert settings() == (True, not strict, "high", False)
        raise KeyError
    assert settings() == before


def test_full_memory_becomes_an_error_with_a_remedy() -> None:
    with pytest.raises(OutOfMemoryError, match="does not hold the job") as caught, memory_explained(CPU):
        raise torch.OutOfMemoryError("tried to allocate 256 GiB")
    assert "microBatchSize" in caught.value.remedy
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    ("mode", "device", "kind", "compiled"),
    [
        ("Never", CUDA, "Transformer", False),
        ("Always", CPU, "GAN", True),
        ("Auto", CPU, "Transformer", False),
        ("Auto", CUDA, "Transformer", True),
        ("Auto", CUDA, "Custom", True),
        ("Auto", CUDA, "GAN", False),
    ],
)
def test_what_is_compiled(
    monkeypatch: pytest.MonkeyPatch, mode: str, device: torch.device, kind: str, *, compiled: bool
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"bin/{name}")
    assert should_compile(mode, device, kind) is compiled


def test_always_needs_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert not should_compile("Auto", CUDA, "Transformer")
    with pytest.raises(InputError, match="needs a C\\+\\+ compiler"):
        should_compile("Always", CPU, "Transformer")
