"""A copy of the package that a test may change, as a contributor changes a checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def copied(folder: Path) -> Path:
    """Copies the package into a folder, and returns the copy."""
    return Path(
        shutil.copytree(ROOT / "raygen", folder / "raygen", ignore=shutil.ignore_patterns("__pycache__"))
    )


def replace(path: Path, old: str, new: str) -> None:
    """Replaces a text that a file has once."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{path}: {old!r} is there {text.count(old)} times"
    path.write_text(text.replace(old, new), encoding="utf-8")


def run(copy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs Python with a copy of the package, and with the tests of this checkout; gives its output."""
    environment = os.environ | {
        "PYTHONPATH": f"{copy.parent}{os.pathsep}{ROOT}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=copy.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
