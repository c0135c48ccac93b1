"""Whether PyTorch has to be asked for devices, which a driver of workers avoids."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from raygen.compute.scale import may_have_accelerator


@pytest.mark.parametrize("name", ["nvidiactl", "kfd", "dxg"])
def test_a_driver_of_an_accelerator_is_seen(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    (tmp_path / "dev").mkdir()
    assert not may_have_accelerator(tmp_path)
    (tmp_path / "dev" / name).touch()
    assert may_have_accelerator(tmp_path)


def test_elsewhere_than_on_linux_there_may_always_be_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert may_have_accelerator(tmp_path)
