"""How a device computes; what needs a CUDA device is in tests/cuda."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from raygen.compute import arithmetic
from raygen.compute.arithmetic import (
    bfloat16_speed,
    has_bfloat16,
    memory_explained,
    precision_notices,
    repeatable,
    seed_draws,
    should_compile,
)
from raygen.errors import InputError, OutOfMemoryError
from raygen.spec import TrainingJob, parse, resolve
from tests.jobs import job_document

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
    with (
        pytest.raises(OutOfMemoryError, match="does not fit into the device's memory") as caught,
        memory_explained(CPU),
    ):
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


X86 = {"architecture": "x86_64"}
UNITS = X86 | {"avx512_bf16": True}


@pytest.mark.parametrize(
    ("features", "most", "there"),
    [
        (X86, None, False),
        (UNITS, None, True),
        (X86 | {"amx_bf16": True}, None, True),
        (UNITS, "ALL", True),
        (UNITS, "avx512_core_bf16", True),
        (UNITS, "AVX10_1_512", True),
        (UNITS, "AVX512_CORE", False),
        (UNITS, "AVX2", False),
        ({"architecture": "arm64"}, None, False),
        ({"architecture": "arm64", "bf16": True}, None, True),
        ({"architecture": "aarch64", "sve_bf16": True}, "AVX2", True),
        ({"architecture": "riscv64"}, None, True),
        ({}, None, True),
    ],
)
def test_units_for_bfloat16_are_there_and_may_be_used(
    monkeypatch: pytest.MonkeyPatch, features: dict[str, Any], most: str | None, *, there: bool
) -> None:
    monkeypatch.setattr(arithmetic, "_processor_features", lambda: features)
    monkeypatch.delenv("DNNL_MAX_CPU_ISA", raising=False)
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    if most is not None:
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", most)
    assert has_bfloat16(CPU) is there


@pytest.mark.parametrize(
    ("architecture", "said", "there"),
    [
        ("x86_64", "processor : 0\nflags\t\t: fpu avx2 avx512_bf16\n", True),
        ("AMD64", "flags : fpu avx2\n", False),
        ("aarch64", "Features\t: fp asimd svebf16\n", True),
        ("aarch64", "Features : fp asimd bf16\n", True),
        ("aarch64", "Features : fp asimd\n", False),
        ("x86_64", "", True),
    ],
)
def test_older_pytorch_has_the_kernel_s_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, architecture: str, said: str, *, there: bool
) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(said)
    monkeypatch.setattr(arithmetic, "_CPU_INFO", path)
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    monkeypatch.setattr("platform.machine", lambda: architecture)
    monkeypatch.delenv("DNNL_MAX_CPU_ISA", raising=False)
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "avx2")
    assert has_bfloat16(CPU) is there


def job(**changes: Any) -> TrainingJob:
    return resolve(parse(job_document(**changes)))


def test_bfloat16_without_hardware_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    half = {"training__precision": "BFloat16"}
    monkeypatch.setattr(arithmetic, "_processor_features", lambda: X86)
    (notice,) = precision_notices(job(**half), "cpu")
    assert "spec.training.precision: BFloat16 has no hardware" in notice
    assert precision_notices(job(), "cpu") == []
    # The head of a cluster knows nothing of its workers' GPUs.
    assert precision_notices(job(**half, scale={"workers": 2, "gpusPerWorker": 1}), "cpu") == []
    monkeypatch.setattr(arithmetic, "_processor_features", lambda: UNITS)
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    assert precision_notices(job(**half), "cpu") == []


def test_the_speed_of_products_is_measured() -> None:
    assert 1e-3 < bfloat16_speed(CPU) < 1e3


def test_draws_are_seeded_as_pytorch_seeds_them() -> None:
    torch.manual_seed(7)
    expected = torch.rand(5), torch.nn.functional.dropout(torch.ones(64))
    seed_draws(7, torch.device("cpu"))
    assert torch.equal(torch.rand(5), expected[0])
    assert torch.equal(torch.nn.functional.dropout(torch.ones(64)), expected[1])
