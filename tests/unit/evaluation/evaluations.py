"""Documents of evaluations, as `raygen evaluate` keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from raygen.evaluation.intervals import GROUPS, jackknife

LOSS, FRECHET, REPEATED = (
    ("loss", "ValidationLoss"),
    ("frechet", "FrechetDistance"),
    ("repeated", "RepeatedNgrams"),
)


def evaluation(
    values: Mapping[tuple[str, str], float], *, run: str = "/runs/a", step: int = 20, spread: float = 0.01
) -> dict[str, Any]:
    """A document of an evaluation.

    Args:
        values: By (name, type) of the metric, of which less is better.
        run: Directory of the run.
        step: Of the checkpoint.
        spread: How far values without a group lie apart.
    """
    found = {
        name: jackknife(value, [value + spread * (group % 3 - 1) for group in range(GROUPS)])
        for (name, _), value in values.items()
    }
    return {
        "run": run,
        "step": step,
        "family": "GAN",
        "parameters": 12_345,
        "seed": 3,
        "metrics": [{"name": name, "type": kind} for name, kind in values],
        "values": {name: value for (name, _), value in values.items()},
        "intervals": {name: asdict(one) for name, one in found.items() if one is not None},
        "lower_is_better": {name: True for name, _ in values},
        "units": {name: "nats" if kind == "ValidationLoss" else "" for name, kind in values},
        "seconds": {"samples": 2.0},
        "data": "d",
        "request": {"count": 100},
        "extractor": {"type": "Network", "name": "a", "sha256": "0"},
        "reference": {"split": "Train", "images": 9, "data": "d"},
    }
