"""What a run was made with: versions, device, source commit. Never environment variables."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from raygen.compute.device import available_cores, device_name

PACKAGES = ("raygen", "torch", "numpy", "tokenizers", "safetensors")


def describe_environment(device: torch.device, base: Path) -> dict[str, str | int]:
    """Facts that a reader needs to run this again.

    Args:
        device: The device in use.
        base: Folder of the job file; the commit is that of its repository.
    """
    facts: dict[str, str | int] = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": device_name(device),
        "cores": available_cores(),
        "threads": torch.get_num_threads(),
    }
    for package in PACKAGES:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            continue
    commit = source_commit(base)
    if commit:
        facts["commit"] = commit
    return facts


def slow_start() -> str | None:
    """What to do where every process compiles PyTorch from its sources; None where its bytecode is there or is kept.

    It doubles the time until a run begins, and more with several workers, each of which is a process.
    """
    cached = torch.__spec__.cached if torch.__spec__ else None
    if not sys.dont_write_bytecode or cached is None or Path(cached).exists():
        return None
    packages = Path(torch.__file__).parents[1]
    return (
        "every process compiles PyTorch from its sources, since PYTHONDONTWRITEBYTECODE is set and no bytecode is"
        f" installed; compile it once: python -m compileall -q {packages}"
    )


def source_commit(folder: Path) -> str | None:
    """The git commit that a folder is at, with `-dirty` when tracked files differ; None without git."""
    try:
        done = subprocess.run(  # noqa: S603 (our own arguments)
            ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
