"""Runs a training script of a peer, unmodified, and gives it a turn of some steps at a time.

    python turns.py SCRIPT BLOCK [bf16] [channels_last] -- ARGUMENTS

The script prints a line after some steps: that is where a turn can end. For each line `go` on the standard input it
trains until it has printed BLOCK such lines, and then waits; this process answers with one line of JSON on the
standard output: the seconds of that turn, and the parameters of the networks. The input's end ends it.

`bf16` runs the script under PyTorch's autocast, and `channels_last` gives its networks' weights that layout, since the
script has no option for either. Autocast keeps each weight's cast until it ends; here until the next update, so that
the script goes on from its new weights.
"""

from __future__ import annotations

import builtins
import json
import runpy
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

STEP_LINES = ("Train Epoch:", "[")
"""How a line begins that a script prints after steps: vae/main.py every tenth, dcgan/main.py each."""
DONE = 3
"""Exit code of a script that ended before its last turn was over."""


class Turns:
    """Takes the place of `print` in the script.

    Args:
        block: Lines of a turn.
        parameters: Of each network.
    """

    def __init__(self, block: int, parameters: list[int]) -> None:
        self._block = block
        self._parameters = parameters
        self._lines = 0
        self._began = time.perf_counter()

    def __call__(self, *values: Any, **options: Any) -> None:
        """Counts a line, and ends a turn with the last of its lines."""
        del options
        if str(values[0] if values else "").startswith(STEP_LINES):
            self._lines += 1
            if self._lines == self._block:
                self._answer(time.perf_counter() - self._began)
                self.wait()

    def wait(self) -> None:
        """Waits for the next turn; ends the process if there is none."""
        if sys.stdin.readline().strip() != "go":
            sys.exit(0)
        self._lines, self._began = 0, time.perf_counter()

    def _answer(self, seconds: float) -> None:
        builtins.print(json.dumps({"seconds": seconds, "parameters": self._parameters}), flush=True)


def main() -> None:
    cut = sys.argv.index("--")
    script, block, *settings = sys.argv[1:cut]
    sys.path[0] = str(Path(__file__).resolve().parent)
    sys.argv = [script, *sys.argv[cut + 1 :]]
    parameters = watch_placement(channels_last="channels_last" in settings)
    turns = Turns(int(block), parameters)
    arithmetic = torch.autocast("cpu", torch.bfloat16) if "bf16" in settings else nullcontext()
    register_optimizer_step_post_hook(lambda *_: torch.clear_autocast_cache())
    turns.wait()
    with arithmetic:
        runpy.run_path(script, {"print": turns}, run_name="__main__")
    sys.exit(DONE)


def watch_placement(*, channels_last: bool) -> list[int]:
    """Makes `Module.to`, by which a script puts a network on its device, count and lay out parameters.

    Returns:
        The parameters of each network, filled as the script goes on.
    """
    parameters: list[int] = []
    original = nn.Module.to

    def place(module: nn.Module, *arguments: Any, **options: Any) -> nn.Module:
        parameters.append(sum(p.numel() for p in module.parameters()))
        placed = original(module, *arguments, **options)
        return original(placed, memory_format=torch.channels_last) if channels_last else placed

    nn.Module.to = place  # type: ignore[assignment]
    return parameters


if __name__ == "__main__":
    main()
