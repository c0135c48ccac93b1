"""A copy of the package that a test may change, as a contributor changes a checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def copied(folder: Path) -> Path:
    """Copies the package into a folder with its bytecode, which is valid there too, and returns the copy."""
    # Bytecode that is just being written, by other tests, has a number at its end.
    return Path(shutil.copytree(ROOT / "raygen", folder / "raygen", ignore=shutil.ignore_patterns("*.pyc.*")))


def replace(path: Path, old: str, new: str) -> None:
    """Replaces a text that a file has once."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{path}: {old!r} is there {text.count(old)} times"
    path.write_text(text.replace(old, new), encoding="utf-8")
    # Of the same second and size, the new text would pass for the one that the bytecode is of.
    for compiled in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
        compiled.unlink()


def run(copy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs Python with a copy of the package, and with the tests of this checkout; gives its output."""
    environment = os.environ | {"PYTHONPATH": f"{copy.parent}{os.pathsep}{ROOT}"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=copy.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
