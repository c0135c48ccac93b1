"""Builds small sweeps for tests."""

from __future__ import annotations

from typing import Any

from raygen.spec.schema.validate import parse_kind
from raygen.spec.sweep.sweep import Sweep
from tests.jobs import job_document, set_path

RATE = "training.optimizer.learningRate"
LAYERS = "model.transformer.layers"
PARAMETERS = [
    {"path": RATE, "type": "Real", "low": 1e-4, "high": 1e-1, "scale": "Log"},
    {"path": LAYERS, "type": "Integer", "low": 1, "high": 4},
]


def sweep_document(**changes: Any) -> dict[str, Any]:
    """A valid sweep whose trials train in about a second.

    Args:
        changes: Dotted paths below `spec`, with `__` for dots: budget__trials=3. None removes the key.
    """
    template = job_document(output=None, evaluation__samples=None)["spec"]
    document: dict[str, Any] = {
        "apiVersion": "raygen.io/v1alpha1",
        "kind": "Sweep",
        "metadata": {"name": "rates"},
        "spec": {
            "template": {"spec": template},
            "parameters": [dict(one) for one in PARAMETERS],
            "objectives": [{"metric": "loss", "goal": "Minimize"}],
            "search": {"type": "Random"},
            "budget": {"trials": 4},
        },
    }
    for path, value in changes.items():
        set_path(document["spec"], path.split("__"), value)
    return document


def a_sweep(**changes: Any) -> Sweep:
    """The same, checked."""
    return parse_kind(Sweep, sweep_document(**changes))
