from __future__ import annotations

import hashlib
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

import raygen
from raygen.errors import ExportError, InputError, ModelError
from raygen.inference.run import Run
from raygen.models.custom import CustomFamily
from raygen.models.draws import Draws
from raygen.models.protocol import SampleRequest
from tests.jobs import image_job_document
from tests.unit.training.runs import Watcher, losses, train

MODEL = """
import torch
from torch import nn
from raygen.models.protocol import Sample

class Model:
    def __init__(self, job, domain, device):
        self.mean = nn.Linear(1, domain.height * domain.width, bias=False).to(device)
        self.networks = {"mean": self.mean}

    def loss(self, batch):
        return (batch["images"].float().flatten(1) / 255 - self.mean.weight[:, 0]).square().sum(dim=1)

    def step(self, micro_batches, updates, workers):
        losses = []
        for micro in micro_batches:
            loss = self.loss(micro.batch).mean() * micro.share
            updates["mean"].backward(loss)
            losses.append(loss.detach())
        (loss,) = workers.sum(torch.stack(losses).sum())
        return {"loss": loss, "gradient_norm": updates["mean"].step()}

    def evaluate(self, batch, draws):
        losses = self.loss(batch)
        return {"loss": losses.sum(), "count": torch.tensor(float(len(losses)))}

    def sample(self, request):
        return [Sample(prompt="mean", text=str(float(self.mean.weight.detach().mean())))]
"""


NO_GROUPS = """    def parameter_groups(self, network):
        return {}

    def step("""
PARTIAL_GROUPS = """    def parameter_groups(self, network):
        from raygen.models.protocol import ParameterGroups
        return ParameterGroups({}, {}, {})

    def step("""


@pytest.fixture(autouse=True)
def _imports_of_its_own() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if not getattr(sys.modules[name], "__file__", None) or "pytest-" in str(sys.modules[name].__file__):
            del sys.modules[name]


def run(base: Path, source: str = MODEL, **changes: Any) -> Any:
    (base / "model.py").write_text(source, encoding="utf-8")
    return train(base, image_job_document("Custom", **changes))


def test_a_class_beside_the_job_file_trains_and_is_sampled_later(image_base: Path) -> None:
    result = run(image_base)
    course = losses(image_base)
    assert course[20] < course[1]
    assert result.metrics["loss"] > 0
    made = Run.open(image_base / "runs" / "tiny").family(device="cpu")
    assert made.networks.keys() == {"mean"}


@pytest.mark.parametrize(
    ("old", "new", "error", "expected"),
    [
        ("class Model", "class Other", InputError, "no class 'Model'"),
        ("class Model:", "Model = 3\nclass Other:", InputError, "no class 'Model'"),
        ('self.networks = {"mean": self.mean}', "pass", InputError, "`networks` is not a mapping"),
        ('{"mean": self.mean}', "{}", InputError, "`networks` is not a mapping"),
        ('{"mean": self.mean}', '{"mean": 3}', InputError, "`networks` is not a mapping"),
        ('{"mean": self.mean}', '{"mean": nn.ReLU()}', InputError, "nothing to train"),
        ("def step", "def stepp", InputError, "no method `step`"),
        ("def evaluate", "def valuate", InputError, "no method `evaluate`"),
        ("def sample", "sample = 3\n    def other", InputError, "no method `sample`"),
        ('"loss": loss, "gradient', '"lost": loss, "gradient', ModelError, "step gives no 'loss'"),
        ('"loss": loss, "gradient', '"loss": 1.0, "gradient', ModelError, "no dict of tensors"),
        ('"loss": loss, "gradient', '"loss": torch.ones(2), "gradient', ModelError, "with 2 values"),
        (
            '{"loss": losses.sum(), "count"',
            '{"loss": losses.sum(), "n"',
            ModelError,
            "evaluate gives no 'count'",
        ),
        (
            'return [Sample(prompt="mean"',
            'return ["a"]; [Sample(prompt="mean"',
            ModelError,
            "does not return a list of Sample",
        ),
        ("losses = []", "losses = [1 / 0]", ModelError, "step raised ZeroDivisionError"),
        (
            'return [Sample(prompt="mean", text=str(float(self.mean.weight.detach().mean())))]',
            "return [Sample(text=3)]",
            ModelError,
            "fields of other types",
        ),
        (
            'return [Sample(prompt="mean", text=str(float(self.mean.weight.detach().mean())))]',
            "return [Sample(png='x')]",
            ModelError,
            "fields of other types",
        ),
        (
            '"loss": loss, "gradient',
            'f"x{micro_batches[0].step}": loss, "loss": loss, "gradient',
            ModelError,
            "and gave x1",
        ),
        (
            '"loss": losses.sum(),',
            '"loss": losses,',
            ModelError,
            "evaluate gives 'loss' with 8 values",
        ),
        ("    def step(", PARTIAL_GROUPS, InputError, "does not sort all parameters"),
        ("    def step(", NO_GROUPS, InputError, "does not sort all parameters"),
        ("job, domain, device", "job", InputError, "making it raised TypeError"),
        ('updates["mean"].backward(loss)', "pass", ModelError, "step has trained nothing"),
        (
            "losses = []",
            "losses = []; self.networks['mean'] = nn.Linear(1, 2)",
            ModelError,
            "has replaced networks or parameters",
        ),
        (
            "losses = []",
            "losses = []; self.networks['more'] = nn.Linear(1, 2)",
            ModelError,
            "has replaced networks or parameters",
        ),
        (
            '"loss": loss, "gradient',
            '"loss": loss, "z": torch.zeros((), dtype=torch.cfloat), "gradient',
            ModelError,
            "step gives 'z' as complex numbers",
        ),
        ("torch.tensor(float(len(losses)))", "torch.tensor(0.0)", ModelError, "evaluate gives 'count' as 0"),
        (
            'return [Sample(prompt="mean", text=str(float(self.mean.weight.detach().mean())))]',
            "return [Sample(png=b'no picture')]",
            ModelError,
            "png is not a PNG file",
        ),
        ("losses = []", "raise SystemExit(0)", ModelError, "step raised SystemExit"),
        (', "gradient_norm": updates["mean"].step()', "", ModelError, "step has trained nothing"),
        (
            "import torch\n",
            "import torch\nimport nothing_of_this_name\n",
            InputError,
            "model imports 'nothing_of_this_name', and there is no such module",
        ),
        ("import torch\n", "import torch\nsyntax error\n", ModelError, "SyntaxError"),
        (
            "self.mean = nn",
            "raise ValueError('x')\n        self.mean = nn",
            InputError,
            "making it raised ValueError",
        ),
    ],
)
def test_each_clause_of_the_protocol_is_held(
    image_base: Path, old: str, new: str, error: type[Exception], expected: str
) -> None:
    assert old in MODEL
    with pytest.raises(error, match=expected) as caught:
        run(image_base, MODEL.replace(old, new, 1))
    assert isinstance(caught.value, InputError | ModelError)
    assert caught.value.where
    assert caught.value.remedy


@pytest.mark.parametrize(("kind", "missing"), [("BitsPerDim", "dimensions"), ("BitsPerByte", "bytes")])
def test_a_metric_needs_its_sums(image_base: Path, kind: str, missing: str) -> None:
    with pytest.raises(ModelError, match=f"evaluate gives no '{missing}'"):
        run(image_base, evaluation__metrics=[{"name": "bits", "type": kind}])


def test_weights_of_validation_samples_go_to_a_model_that_takes_them() -> None:
    def plain(batch: Any, draws: Any) -> dict[str, Tensor]:
        return {"loss": torch.ones(()), "count": torch.ones(())}

    def weighing(batch: Any, draws: Any, weights: Any = None) -> dict[str, Tensor]:
        return {"loss": weights.sum(), "count": weights.sum()}

    weights, draws = torch.tensor([1.0, 2.0]), Draws((0,), range(2), torch.device("cpu"))
    family = CustomFamily(SimpleNamespace(networks={}, evaluate=weighing), "model:Mean")
    assert float(family.evaluate({}, draws, weights)["loss"]) == 3
    family = CustomFamily(SimpleNamespace(networks={}, evaluate=plain), "model:Mean")
    assert float(family.evaluate({}, draws)["loss"]) == 1
    with pytest.raises(ModelError, match="evaluate takes no weights") as caught:
        family.evaluate({}, draws, weights)
    assert "weights=None" in caught.value.remedy


def test_an_error_in_the_model_names_its_line(image_base: Path) -> None:
    with pytest.raises(ModelError) as caught:
        run(image_base, MODEL.replace("losses = []", "losses = [1 / 0]"))
    line = next(n for n, text in enumerate(MODEL.splitlines(), 1) if "losses = []" in text)
    assert caught.value.where.endswith(f"model.py, line {line}, in step")


def test_an_error_that_torch_raises_names_the_line_that_called_it(image_base: Path) -> None:
    (image_base / "layers.py").write_text("def apply(layer, x):\n    return layer(x)\n", encoding="utf-8")
    source = MODEL.replace("losses = []", "import layers; losses = [layers.apply(self.mean, torch.ones(3))]")
    with pytest.raises(ModelError, match="step raised RuntimeError") as caught:
        run(image_base, source)
    assert caught.value.where == f"{image_base / 'layers.py'}, line 2, in apply"


@pytest.mark.parametrize(
    ("line", "where"),
    [("syntax error", "model.py, line 3"), ("1 / 0", "model.py, line 3, in <module>")],
)
def test_an_error_of_an_import_names_its_line(image_base: Path, line: str, where: str) -> None:
    with pytest.raises(ModelError) as caught:
        run(image_base, MODEL.replace("import torch\n", f"import torch\n{line}\n", 1))
    assert caught.value.where == str(image_base / where)


def test_a_module_that_begins_like_what_it_lacks_is_not_the_one_missing(image_base: Path) -> None:
    (image_base / "nowhere_gan.py").write_text(f"import nowhere\n{MODEL}", encoding="utf-8")
    with pytest.raises(InputError, match="nowhere_gan imports 'nowhere'") as caught:
        run(image_base, model__custom={"entrypoint": "nowhere_gan:Model"})
    assert caught.value.where == f"{image_base / 'nowhere_gan.py'}, line 1, in <module>"


@pytest.mark.parametrize("entrypoint", ["absent.part:Model", "half.absent:Model"])
def test_a_module_missing_from_its_package_is_an_input_error(image_base: Path, entrypoint: str) -> None:
    (image_base / "half").mkdir()
    with pytest.raises(InputError, match=f"no module '{entrypoint.partition(':')[0]}'"):
        run(image_base, model__custom={"entrypoint": entrypoint})


def test_a_metric_that_is_not_finite_is_told_and_is_never_the_best(image_base: Path) -> None:
    source = MODEL.replace('"loss": losses.sum(),', '"loss": losses.sum() / 0,')
    watcher = Watcher()
    (image_base / "model.py").write_text(source, encoding="utf-8")
    keep = {"everySteps": 10, "keepBest": {"metric": "loss"}}
    result = train(image_base, image_job_document("Custom", checkpoint=keep), observer=watcher)
    assert (result.state, result.metrics, result.best) == ("Succeeded", {}, {})
    assert any("at step 10 loss is inf" in notice for notice in watcher.notices)


def test_a_model_without_an_export_says_so(image_base: Path) -> None:
    run(image_base)
    with pytest.raises(ExportError, match="no method huggingface"):
        Run.open(image_base / "runs" / "tiny").export_huggingface(image_base / "exported")


def test_a_module_that_is_not_there_is_an_input_error(image_base: Path) -> None:
    with pytest.raises(InputError, match="no module 'elsewhere'"):
        run(image_base, model__custom={"entrypoint": "elsewhere:Model"})


@pytest.mark.parametrize("suffix", [".py", ".zip", ".whl"])
def test_a_package_is_imported_from_a_copy_that_was_checked(image_base: Path, suffix: str) -> None:
    package = image_base / f"packed{suffix}"
    if suffix == ".py":
        package.write_text(MODEL, encoding="utf-8")
    else:
        with zipfile.ZipFile(package, "w") as archive:
            archive.writestr("packed.py", MODEL)
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    custom = {"entrypoint": "packed:Model", "package": {"uri": package.name, "sha256": digest}}
    assert run(image_base, model__custom=custom).step == 20

    package.write_bytes(package.read_bytes() + b"\n")
    with pytest.raises(InputError, match="SHA-256 is") as caught:
        run(image_base, model__custom=custom)
    assert digest in caught.value.what
    package.unlink()
    with pytest.raises(InputError, match="cannot be read"):
        run(image_base, model__custom=custom)


def forget() -> None:
    """As a new process, that knows neither the module nor the folder it was in."""
    sys.modules.pop("model", None)
    sys.path[:] = [entry for entry in sys.path if "pytest-" not in entry]


def sampled(run: Path) -> Any:
    forget()
    return Run.open(run).sample(SampleRequest(), device="cpu")[0].text


def test_a_project_that_is_moved_with_its_runs_is_sampled_where_it_is(image_base: Path) -> None:
    run(image_base)
    text = sampled(image_base / "runs" / "tiny")
    moved = image_base.rename(image_base.parent / "moved")
    assert sampled(moved / "runs" / "tiny") == text


def test_a_job_that_is_moved_is_found_when_it_was_started_there(image_base: Path) -> None:
    source, output = image_base / "a", image_base / "elsewhere"
    document = image_job_document("Custom")
    source.mkdir()
    (source / "model.py").write_text(MODEL, encoding="utf-8")
    (image_base / "images.parquet").rename(source / "images.parquet")
    raygen.train(document, base=source, output=str(output), device="cpu")
    text = sampled(output / "tiny")
    source.rename(image_base / "b")

    with pytest.raises(InputError, match="no module 'model'; the folder of the job file is gone") as caught:
        sampled(output / "tiny")
    assert caught.value.where == str(source)

    forget()
    again = raygen.train(document, base=image_base / "b", output=str(output), device="cpu")
    assert again.reason == "AlreadyComplete"
    assert sampled(output / "tiny") == text


def test_another_kind_of_package_is_refused(image_base: Path) -> None:
    custom = {"entrypoint": "a:B", "package": {"uri": "a.tar.gz", "sha256": "0" * 64}}
    with pytest.raises(InputError, match="a package is one of"):
        run(image_base, model__custom=custom)
