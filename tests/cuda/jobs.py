"""Jobs that are small for a GPU, and use the kernels of large ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.jobs import image_job_document, job_document, set_path

DATA = Path(__file__).resolve().parents[2] / "examples" / "data"
DIGITS = {"train": {"sources": [{"uri": str(DATA / "mnist" / "test.parquet"), "format": "Parquet"}]}}


def gpt(name: str, **changes: Any) -> dict[str, Any]:
    """A GPT on tinyshakespeare with dropout, accumulation of unequal parts, and a moving average.

    Args:
        name: The run's.
        changes: As in `tests.jobs.job_document`.
    """
    settings = {
        "model__transformer": {
            "layers": 2,
            "heads": 4,
            "hiddenSize": 256,
            "contextLength": 256,
            "dropout": 0.1,
        },
        "data__train__sources": [{"uri": str(DATA / "tinyshakespeare.txt")}],
        "training__optimizer": {"type": "AdamW", "learningRate": 1e-3},
        "training__globalBatchSize": 16,
        "training__microBatchSize": 12,
        "training__ema": {"decay": 0.99},
        "training__gradientClipNorm": 1.0,
        "training__duration": {"steps": 300},
        "evaluation__everySteps": 100,
        "evaluation__samples": None,
        "checkpoint__everySteps": 20,
    }
    return named(job_document(**(settings | changes)), name)


def digits(name: str, family: str, **changes: Any) -> dict[str, Any]:
    """A VAE or a GAN of convolutions on digits."""
    settings: dict[str, Any] = {
        "data": DIGITS | {"images": {"size": 32, "fit": "Pad"}},
        "training__globalBatchSize": 64,
        "training__microBatchSize": 48,
        "training__duration": {"steps": 200},
        "evaluation": {"samples": {"everySteps": 100, "count": 16}},
        "checkpoint__everySteps": 20,
    }
    if family == "GAN":
        settings["model__gan"] = {
            "network": "Residual",
            "latentSize": 16,
            "width": 16,
            "loss": "NonSaturating",
            "r1": 1.0,
            "regulariseEvery": 4,
            "augmentation": {"type": "Adaptive"},
        }
    else:
        settings["model__vae"] = {
            "network": "ConvResidual",
            "latentSize": 8,
            "likelihood": "Bernoulli",
        }
    return named(image_job_document(family, **(settings | changes)), name)


def named(document: dict[str, Any], name: str) -> dict[str, Any]:
    document["metadata"]["name"] = name
    set_path(document["spec"], ["output"], {"uri": "runs"})
    return document
