"""Turns of a peer's script, with a script that only counts."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest
import torch

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"

COUNTS = """
import sys
from pathlib import Path
import torch
from torch import nn
from torchvision import datasets, transforms
known = datasets.MNIST("..", train=True, download=True, transform=transforms.Compose(
    [transforms.Resize(8), transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))]))
layer = nn.Conv2d(2, 3, 2).to("cpu")
notes = Path(sys.argv[1])
print("something else")
for step in range(6):
    last = layer.weight.is_contiguous(memory_format=torch.channels_last)
    image = known[0][0]
    with notes.open("a") as file:
        file.write(f"{step} {torch.is_autocast_enabled('cpu')} {last} {tuple(image.shape)} {image.max():.0f}\\n")
    print("Train Epoch: 1")
"""


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("image_peers")


def some_digits() -> object:
    module = importlib.import_module("image_data")
    return module.Digits(torch.full((3, 1, 28, 28), 255, dtype=torch.uint8), torch.arange(3))


def make_script(folder: Path) -> Path:
    path = folder / "counts.py"
    path.write_text(COUNTS)
    return path


def test_a_script_trains_in_its_turns_only(peers: ModuleType, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    script = peers.Script("counts.py", (str(notes),), lines=2, settings=("bf16", "channels_last"), longest=10)
    with peers.started(script, make_script(tmp_path), some_digits(), 1) as peer:
        assert not notes.exists()
        for turn in (1, 2):
            peer.turn()
            lines = notes.read_text().splitlines()
            assert [int(line.split()[0]) for line in lines] == list(range(2 * turn))
        assert len(peer.seconds) == 2
        assert all(seconds > 0 for seconds in peer.seconds)
        assert peer.parameters == [2 * 3 * 2 * 2 + 3]
    assert lines[0].split(maxsplit=1)[1] == "True True (1, 8, 8) 1"


def test_without_settings_a_script_runs_as_it_is(peers: ModuleType, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    script = peers.Script("counts.py", (str(notes),), lines=6, settings=(), longest=10)
    with peers.started(script, make_script(tmp_path), some_digits(), 1) as peer:
        peer.turn()
        assert notes.read_text().startswith("0 False False (1, 8, 8) 1")
        with pytest.raises(SystemExit, match="ended before its turn"):
            peer.turn()


def test_a_missing_script_is_named(peers: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"lacks vae/main\.py"):
        peers.check_folder(tmp_path, "vae/main.py")
    with pytest.raises(SystemExit, match="no folder was given"):
        peers.check_folder(None, "vae/main.py")


@pytest.mark.parametrize(("steps", "warmup"), [(0, 10), (10, 0), (15, 10), (10, 5), (100, 10)])
def test_steps_that_cannot_be_measured(peers: ModuleType, steps: int, warmup: int) -> None:
    script = peers.Script("x", (), lines=1, settings=(), longest=100)
    peers.check_steps(90, 10, script)
    with pytest.raises(SystemExit, match="--steps and --warmup"):
        peers.check_steps(steps, warmup, script)
