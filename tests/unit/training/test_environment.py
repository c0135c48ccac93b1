"""What a run says of the machine and the installation that it runs on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from raygen.training.environment import slow_start


@pytest.mark.parametrize(
    ("kept", "compiled", "told"), [(False, False, True), (False, True, False), (True, False, False)]
)
def test_an_installation_without_bytecode_is_told_how_to_compile_it(
    kept: bool, compiled: bool, told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert torch.__spec__ is not None
    cached = tmp_path / "__init__.pyc"
    if compiled:
        cached.touch()
    monkeypatch.setattr(sys, "dont_write_bytecode", not kept)
    monkeypatch.setattr(torch.__spec__, "cached", str(cached))
    notice = slow_start()
    assert (notice is not None) == told
    if notice is not None:
        packages = Path(torch.__file__).parents[1]
        assert notice.endswith(f"python -m compileall -q {packages}")
