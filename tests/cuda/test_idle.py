"""A device that waits for data is told from a host that waits while the device still computes."""

from __future__ import annotations

import time

import torch

from raygen.compute.idle import IdleTime

SECONDS = 0.2


def test_a_device_without_work_waits(device: str) -> None:
    idle = IdleTime(torch.device(device))
    with idle.waiting():
        time.sleep(SECONDS)
    _finish(device)
    assert idle.take() > 0.8 * SECONDS
    assert idle.take() == 0.0


def test_a_device_with_work_does_not(device: str) -> None:
    if device == "cpu":
        return
    idle = IdleTime(torch.device(device))
    # Longer than the host waits.
    torch.cuda._sleep(int(4 * SECONDS * 2e9))
    with idle.waiting():
        time.sleep(SECONDS)
    _finish(device)
    assert idle.take() < 0.2 * SECONDS


def _finish(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()
