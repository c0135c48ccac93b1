"""`raygen evaluate` and `raygen compare`: what they measure, that it is the same again, and mistakes of users."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from raygen.cli.main import main
from tests.jobs import image_job_document, job_document, write_images, write_text
from tests.unit.evaluation.extractors.test_onnx_file import INPUTS
from tests.unit.evaluation.extractors.test_onnx_file import model as textures
from tests.unit.evaluation.extractors.trained import trained_extractor
from tests.unit.training.runs import train

SHORT = {"training__duration": {"steps": 4}, "checkpoint__everySteps": 2}
IMAGES = {
    *("FrechetDistance", "KernelDistance", "Precision", "Recall", "Density", "Coverage"),
    *("ClassifierScore", "MeanPairwiseDistance", "VendiScore"),
}
TEXTS = {"DistinctNgrams", "RepeatedNgrams", "SelfBLEU"}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs `gan`, `other`, which has another seed, and `text`."""
    folder = tmp_path_factory.mktemp("evaluate")
    write_images(folder / "images.parquet", 60)
    write_text(folder / "text.txt")
    trained_extractor(folder / "tiny.safetensors")
    train(folder, image_job_document("GAN", **SHORT), run="gan")
    train(folder, image_job_document("GAN", training__seed=2, **SHORT), run="other")
    train(folder, job_document(**SHORT, evaluation__samples=None), run="text")
    return folder


@pytest.fixture
def asked(base: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a command in the folder of the runs, and gives what it printed as JSON."""
    monkeypatch.chdir(base)

    def act(*arguments: str, code: int = 0) -> dict[str, Any]:
        assert main([*arguments, "--device", "cpu", "--json"]) == code
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        document: dict[str, Any] = json.loads(out.splitlines()[-1])
        return document

    return act


def lasting(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != "seconds"}


GAN = ("evaluate", "runs/gan", "--extractor", "tiny.safetensors", "--samples", "40")


def test_images_of_a_run_are_measured_by_all_that_an_extractor_allows(asked: Any, base: Path) -> None:
    document = asked(*GAN)
    assert {one["type"] for one in document["metrics"]} == IMAGES
    assert {name for name in document["values"] if not name.endswith("_standard_error")} == IMAGES
    assert (document["step"], document["seed"], document["family"]) == (4, 1, "GAN")
    assert document["request"]["count"] == 40
    digest = hashlib.sha256((base / "tiny.safetensors").read_bytes()).hexdigest()
    assert document["extractor"] == {"type": "Network", "name": "tiny", "sha256": digest}
    interval = document["intervals"]["FrechetDistance"]
    assert interval["low"] < document["values"]["FrechetDistance"] < interval["high"]
    kept = json.loads((base / "runs/gan/evaluation" / Path(document["written"]).name).read_text())
    assert kept == {name: value for name, value in document.items() if name != "written"}


def test_the_same_request_gives_the_same_document_but_for_times(asked: Any) -> None:
    first, second = asked(*GAN), asked(*GAN)
    assert lasting(first) == lasting(second)
    assert asked(*GAN[:-1], "41")["written"] != first["written"]


def test_a_checkpoint_is_named_by_its_folder_or_its_step(asked: Any, base: Path) -> None:
    folder = next(one for one in sorted((base / "runs/gan/checkpoints").iterdir()) if one.name.endswith("2"))
    by_folder = asked("evaluate", str(folder), *GAN[2:])
    by_step = asked(*GAN, "--step", "2")
    assert by_folder["step"] == by_step["step"] == 2
    assert by_folder["values"] == by_step["values"] != asked(*GAN)["values"]


def test_a_run_has_its_own_metrics_unless_all_are_asked_for(asked: Any) -> None:
    assert set(asked("evaluate", "runs/text")["values"]) == {"loss"}
    every = asked("evaluate", "runs/text", "--all", "--samples", "20")
    assert set(every["values"]) == {"loss", "BitsPerByte", "Perplexity", *TEXTS}
    assert every["covers"]["loss"] != every["covers"]["SelfBLEU"]
    assert every["request"]["count"] == 20
    assert "extractor" not in every


def test_a_field_of_the_job_may_be_changed_for_an_evaluation_alone(asked: Any, base: Path) -> None:
    before = (base / "runs/gan/job.json").read_bytes()
    document = asked(*GAN, "--set", "evaluation.generation.reference=Validation")
    assert document["reference"]["split"] == "Validation"
    assert asked(*GAN)["reference"]["split"] == "Train"
    assert (base / "runs/gan/job.json").read_bytes() == before


def test_people_see_values_with_intervals(base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["evaluate", "--device", "cpu", str(base / "runs/text"), "--all", "--samples", "20"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "text, step 4" in out
    assert "SelfBLEU" in out
    assert " to " in out
    assert "kept as" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("evaluate", "runs/none"), "runs/none"),
        (("evaluate", "runs/gan"), "--extractor"),
        (("evaluate", "runs/gan", "--extractor", "none.safetensors"), "cannot be read"),
        (("evaluate", "runs/gan", "--extractor", "images.parquet"), "images.parquet"),
        (("evaluate", "runs/text", "--extractor", "tiny.safetensors"), "holds text"),
        (("evaluate", "runs/gan", "--extractor", "tiny.safetensors", "--samples", "1"), "samples"),
        (("evaluate", "runs/gan", "--extractor", "tiny.safetensors", "--samples", "4"), "samples"),
        (("evaluate", "runs/gan", "--extractor", "tiny.safetensors", "--step", "3"), "3"),
        (("evaluate", "runs/text", "--set", "evaluation.nothing=1"), "nothing"),
        (("compare", "runs/text", "runs/none"), "runs/none"),
        (("compare", "runs/text", "--to", "page.pdf"), ".html"),
    ],
)
def test_mistakes_are_told_with_what_to_do(asked: Any, arguments: tuple[str, ...], said: str) -> None:
    document = asked(*arguments, code=2)
    faults = document.get("faults") or [document["error"]]
    assert said in json.dumps(document)
    assert all(one["remedy"] for one in faults)


def test_runs_are_compared_and_written_as_pages(asked: Any, base: Path) -> None:
    arguments = ("compare", "runs/gan", "runs/other", "--extractor", "tiny.safetensors", "--samples", "40")
    document = asked(*arguments, "--to", "page.html")
    rows = {one["name"]: one for one in document["metrics"]}
    assert set(rows) == IMAGES
    frechet = rows["FrechetDistance"]
    assert frechet["values"] == [one["values"]["FrechetDistance"] for one in document["runs"]]
    assert frechet["values"][frechet["best"]] == min(frechet["values"])
    assert frechet["not_comparable"] is None
    assert frechet["differences"][0]["value"] == pytest.approx(frechet["values"][1] - frechet["values"][0])
    html = (base / "page.html").read_text()
    assert "gan and other" in html
    assert "<script" not in html
    asked(*arguments, "--to", "page.md")
    lines = (base / "page.md").read_text().splitlines()
    assert lines[0] == "| metric | gan | other | difference to the first |"


def test_a_run_beside_itself_differs_by_nothing(asked: Any) -> None:
    document = asked("compare", "runs/text", "runs/text")
    (loss,) = document["metrics"]
    assert loss["differences"] == [{"value": 0.0, "low": 0.0, "high": 0.0, "real": False}]


def test_runs_of_texts_and_of_images_have_no_metric_in_common(asked: Any) -> None:
    options = ("--all", "--samples", "40")
    found = asked("compare", "runs/text", "runs/gan", *options, "--set", "evaluation.metrics=[]", code=2)
    assert "--extractor" in json.dumps(found)


def test_train_extractor_writes_a_file_that_evaluate_takes(asked: Any, base: Path) -> None:
    job = base / "job.json"
    job.write_text(json.dumps(image_job_document("GAN", **SHORT)))
    options = ("--to", "new.safetensors", "--name", "new", "--steps", "3")
    assert main(["evaluate", "train-extractor", str(job), *options, "--json"]) == 0
    document = asked("evaluate", "runs/gan", "--extractor", "new.safetensors", "--samples", "20")
    assert document["extractor"]["name"] == "new"


def test_an_extractor_without_classes_measures_all_but_their_score(asked: Any, base: Path) -> None:
    model = textures(said={"inputs": INPUTS.model_dump(mode="json")})
    (base / "texture.onnx").write_bytes(model.SerializeToString())
    document = asked("evaluate", "runs/gan", "--extractor", "texture.onnx", "--samples", "20")
    assert {one["type"] for one in document["metrics"]} == IMAGES - {"ClassifierScore"}
    assert document["extractor"]["type"] == "ONNX"
    assert document["extractor"]["name"] == "texture"


def test_a_metric_that_is_called_like_another_type_stands_in_nobodys_way(asked: Any) -> None:
    named = "evaluation.metrics=[{name: SelfBLEU, type: DistinctNgrams}]"
    found = asked(
        "evaluate",
        "runs/text",
        "--all",
        "--samples",
        "20",
        "--set",
        "evaluation.generation={maxTokens: 8}",
        "--set",
        named,
    )
    assert {metric["name"]: metric["type"] for metric in found["metrics"]}.items() >= {
        ("SelfBLEU", "DistinctNgrams"),
        ("SelfBLEU_", "SelfBLEU"),
    }
