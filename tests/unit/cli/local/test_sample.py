from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from raygen.cli.main import main
from tests.jobs import image_job_document
from tests.unit.training.runs import train

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def sampled(image_base: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Trains a small run, samples from it, and gives the JSON that was printed."""

    def act(family: str, *options: str, code: int = 0, **changes: Any) -> dict[str, Any]:
        if not (image_base / "runs").exists():
            train(image_base, image_job_document(family, **changes))
        arguments = ["sample", str(image_base / "runs" / "tiny"), "--device", "cpu", "--json", *options]
        assert main(arguments) == code
        document: dict[str, Any] = json.loads(capsys.readouterr().out)
        return document

    return act


def kinds(document: dict[str, Any]) -> list[str]:
    for one in document["samples"]:
        assert Path(one["path"]).read_bytes().startswith(PNG)
    return [one["prompt"] for one in document["samples"]]


def test_a_vae_draws_samples_paths_between_them_and_reconstructions(sampled: Any, image_base: Path) -> None:
    document = sampled("VAE", "--count", "9", training__optimizer__type="Adam")
    assert kinds(document) == ["samples", "interpolations", "reconstructions"]
    folder = image_base / "runs" / "tiny" / "generated"
    assert all(Path(one["path"]).parent == folder for one in document["samples"])
    first = (folder / "samples-seed-0.png").read_bytes()
    sampled("VAE", "--count", "9", "--to", str(image_base / "again"))
    assert (image_base / "again" / "samples-seed-0.png").read_bytes() == first
    (image_base / "images.parquet").unlink()
    assert kinds(sampled("VAE")) == ["samples", "interpolations"]


def test_a_codebook_shows_reconstructions_or_says_why_not(sampled: Any, image_base: Path) -> None:
    changes = {"training__optimizer__type": "Adam"}
    vae = {"network": "ConvResidual", "channels": [8], "latentSize": 3, "likelihood": "Bernoulli"}
    changes["model__vae"] = {**vae, "codebook": {"size": 8}}
    changes["evaluation__metrics"] = [{"name": "loss", "type": "ValidationLoss"}]
    assert kinds(sampled("VAE", **changes)) == ["reconstructions"]
    (image_base / "images.parquet").unlink()
    assert "reconstructions alone" in sampled("VAE", code=2)["error"]["what"]


def test_a_conditional_gan_draws_the_classes_that_are_asked_for(sampled: Any) -> None:
    every = sampled("GAN", "--count", "6", model__gan__conditional=True)
    one = sampled("GAN", "--count", "6", "--class", "2")
    assert kinds(every) == kinds(one) == ["samples", "interpolations"]
    assert Path(every["samples"][0]["path"]).read_bytes() != Path(one["samples"][0]["path"]).read_bytes()
    assert "no class 'zebra'" in sampled("GAN", "--class", "zebra", code=2)["error"]["what"]
    assert "have no prompt" in sampled("GAN", "--prompt", "a", code=2)["error"]["what"]


def test_a_model_that_is_not_told_the_class_refuses_one(sampled: Any) -> None:
    assert "not told the class" in sampled("GAN", "--class", "2", code=2)["error"]["what"]
