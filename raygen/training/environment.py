"""What a run was made with: versions, device, source commit. Never environment variables."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from raygen.compute.scale import available_cores

PACKAGES = ("raygen", "torch", "numpy", "tokenizers", "safetensors")


def describe_environment(device: str, threads: int) -> dict[str, str | int]:
    """Facts of this process that a reader needs to run this again.

    Args:
        device: Name of the device in use.
        threads: Of PyTorch.
    """
    facts: dict[str, str | int] = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": device,
        "cores": available_cores(),
        "threads": threads,
    }
    for package in PACKAGES:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            continue
    return facts


def slow_start() -> str | None:
    """What to do where every process compiles PyTorch from its sources; None where its bytecode is there or is kept.

    It doubles the time until a run begins, and more with several workers, each of which is a process.
    """
    found = find_spec("torch")
    cached = found.cached if found else None
    if not sys.dont_write_bytecode or found is None or cached is None or Path(cached).exists():
        return None
    packages = Path(found.origin or "").parents[1]
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
