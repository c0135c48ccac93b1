"""A model family is a folder, a file of its fields, and a line: CONTRIBUTING.md's steps, taken on a copy of the package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.copies import ROOT, copied, replace, run
from tests.jobs import job_document

FIELDS = '''\
"""A table of next-character logits."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from raygen.spec.families.family import Block, Family


class Bigram(Block):
    """A table of the next character's logits by the one before it."""

    context_length: Annotated[int, Field(ge=1, le=4096)]
    """Length of a sample, in tokens."""

    family: ClassVar[Family] = Family(
        name="Bigram",
        summary="Size of a table of pairs",
        module="raygen.models.bigram.family",
        contents=("text",),
        metrics=("ValidationLoss", "Perplexity"),
        loss_unit="nats",
    )

    @property
    def tokens(self) -> int:
        """Length of a sample, in tokens."""
        return self.context_length
'''
LINE = "    vae: VAE | None = _block(VAE)\n"
IMPORT = "from raygen.spec.families.vae import VAE\n"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with one more family."""
    copy = copied(tmp_path_factory.mktemp("checkout"))
    folder = copy / "models/bigram"
    folder.mkdir()
    (folder / "__init__.py").write_text('"""A table of pairs."""\n')
    source = (ROOT / "tests/unit/training/bigram.py").read_text()
    compiling = "    def compile(self, options: object) -> None:\n        del options\n\n    def evaluate("
    (folder / "family.py").write_text(source.replace("    def evaluate(", compiling, 1))
    (copy / "spec/families/bigram.py").write_text(FIELDS)
    table = copy / "spec/families/table.py"
    replace(table, LINE, LINE + "    bigram: Bigram | None = _block(Bigram)\n")
    replace(table, IMPORT, IMPORT + "from raygen.spec.families.bigram import Bigram\n")
    return copy


def write(folder: Path, **changes: Any) -> Path:
    path = folder / "job.json"
    bigram = {"type": "Bigram", "bigram": {"contextLength": 8}}
    document = job_document(
        model=bigram, evaluation__samples=None, training__duration={"steps": 6}, **changes
    )
    path.write_text(json.dumps(document))
    return path


def test_it_trains_from_a_job_document(package: Path, base: Path) -> None:
    trained = run(
        package, "-m", "raygen", "train", str(write(base)), "--output", str(base / "runs"), "--device", "cpu"
    )
    assert trained.returncode == 0, trained.stderr
    folder = base / "runs/tiny"
    kept = json.loads((folder / "job.json").read_text())["job"]["spec"]
    assert kept["model"]["bigram"] == {"contextLength": 8}
    assert kept["training"]["guards"][0]["type"] == "NonFiniteLoss"
    assert json.loads((folder / "outcome.json").read_text())["state"] == "Succeeded"
    parts = [part.read_text() for part in sorted(folder.glob("metrics/*.jsonl"))]
    lines = [json.loads(line) for part in parts for line in part.splitlines()]
    losses = [line["values"]["loss"] for line in lines if line["kind"] == "train"]
    assert losses[-1] < losses[0]
    assert "nats" in (folder / "report.html").read_text()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model__bigram__contextLength": None}, "spec.model.bigram.contextLength: is missing. Add contextLength: length"),
        ({"model__type": "Bigrm"}, "Did you mean Bigram?"),
        ({"training__guards": [{"type": "ModeCollapse", "action": "Warn"}]}, "must watch something that the model (Bigram) has"),
        ({"evaluation__metrics": [{"name": "b", "type": "BitsPerByte"}]}, "must suit the model (Bigram)"),
        ({"data__train__sources": [{"uri": "x", "format": "ImageFolder"}], "data__tokenizer": None}, "text for Transformer or Bigram, else images"),
        ({"training__labelSmoothing": 0.1}, "belongs to model.type Transformer"),
    ],
)  # fmt: skip
def test_its_faults_are_found(package: Path, base: Path, changes: dict[str, Any], words: str) -> None:
    checked = run(package, "-m", "raygen", "validate", str(write(base, **changes)))
    assert checked.returncode == 2
    assert words in checked.stderr


def test_it_is_in_the_schema_and_the_definition(package: Path) -> None:
    program = (
        "import json; from raygen.spec import TrainingJob; from raygen.spec.kinds import definitions;"
        "from raygen.spec.schema.json_schema import json_schema; schema = json_schema(TrainingJob);"
        "print(json.dumps([schema['$defs']['Model'], json.dumps(definitions())]))"
    )
    made = run(package, "-c", program)
    assert made.returncode == 0, made.stderr
    model, definition = json.loads(made.stdout)
    assert "Bigram" in model["properties"]["type"]["enum"]
    assert model["properties"]["bigram"]["description"] == (
        "Size of a table of pairs; given exactly when `type` is Bigram."
    )
    assert "(self.type == 'Bigram') == has(self.bigram)" in definition
