"""The loss that all models here are compared by, written apart from raygen's own evaluation.

Text after the first 90 % of characters; windows of 64 characters that do not overlap, the last one shorter;
every character but the very first is predicted once, from at most 64 before it; mean loss in nats.
"""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

WINDOW = 64
TRAIN_SHARE = 0.9

Logits = Callable[[Tensor], Tensor]
"""Tokens (1, T) to logits (1, T, V)."""


def validation_text(path: Path) -> str:
    """The last tenth."""
    text = path.read_text(encoding="utf-8")
    return text[int(len(text) * TRAIN_SHARE) :]


def mean_loss(logits: Logits, tokens: Sequence[int]) -> float:
    """Mean loss of `tokens` after the first, in nats."""
    total, count = 0.0, 0
    with torch.no_grad():
        for start in range(0, len(tokens) - 1, WINDOW):
            inputs = tokens[start : start + WINDOW]
            targets = tokens[start + 1 : start + WINDOW + 1]
            scores = logits(torch.tensor([inputs[: len(targets)]]))[0].double()
            chosen = scores.log_softmax(-1)[torch.arange(len(targets)), torch.tensor(targets)]
            total -= chosen.sum().item()
            count += len(targets)
    assert count == len(tokens) - 1
    return total / count


def run_nanogpt() -> None:
    """Runs train.py in the working folder to its end, then prints the loss of its model as JSON.

    Its state is taken from memory, since the checkpoint that it writes is a pickle of its best estimate.
    """
    sys.path.insert(0, "")
    state = runpy.run_path("train.py", run_name="__main__")
    model, vocabulary = state["model"].eval(), state["meta"]["stoi"]
    text = validation_text(Path("data/shakespeare_char/input.txt"))
    tokens = [vocabulary[character] for character in text]
    # Without targets nanoGPT computes logits of the last place only; which ones they are does not matter.
    loss = mean_loss(lambda inputs: model(inputs, inputs)[0], tokens)
    parameters = sum(p.numel() for p in model.parameters())
    print("\n" + json.dumps({"loss": loss, "parameters": parameters, "tokens": len(tokens)}))


if __name__ == "__main__":
    run_nanogpt()
