"""What a run has compiled, and when the compiled code is called; the compiler itself is replaced."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.jobs import image_job_document, job_document
from tests.unit.training.runs import losses, train


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often each compiled thing was called, by its name."""
    found: dict[str, int] = {}

    def fake(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        assert options == {"dynamic": False}
        name = getattr(function, "__name__", type(function).__name__)
        found[name] = 0

        def call(*arguments: Any) -> Any:
            found[name] += 1
            return function(*arguments)

        return call

    monkeypatch.setattr(torch, "compile", fake)
    return found


def test_a_transformers_steps_are_compiled_and_nothing_else(base: Path, calls: dict[str, int]) -> None:
    train(base, job_document(training__compile="Always"))
    assert calls == {"mean_loss": 20, "sample_losses": 0}
    train(base, job_document(training__compile="Never"), run="plain")
    assert losses(base) == losses(base, "plain")


def test_a_vaes_parts_are_compiled(image_base: Path, calls: dict[str, int]) -> None:
    train(image_base, image_job_document("VAE", training__compile="Always"))
    assert sorted(calls.values()) == [20, 20]


def test_a_penalty_is_computed_by_plain_code(image_base: Path, calls: dict[str, int]) -> None:
    changes = {"model__gan__r1": 1.0, "model__gan__regulariseEvery": 4}
    train(image_base, image_job_document("GAN", training__compile="Always", **changes))
    # Of 20 steps five are penalised: real images by plain code, generated ones and the generator's as always.
    assert calls == {"Generator": 20, "Discriminator": 3 * 20 - 5}
