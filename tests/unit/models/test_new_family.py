"""A model family is a folder, a file of its fields, and a line with its import: CONTRIBUTING.md's steps, taken on a copy of the package."""

from __future__ import annotations

import json
import shutil
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


CHAIN_FIELDS = '''\
"""Next-character logits through a code of two halves."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from raygen.spec.families.family import Block, Family


class Chain(Block):
    """An encoder of characters, and a decoder of what it makes of them."""

    context_length: Annotated[int, Field(ge=1, le=4096)]
    """Length of a sample, in tokens."""

    family: ClassVar[Family] = Family(
        name="Chain",
        summary="Size of a chain of two networks",
        module="raygen.models.chain.family",
        contents=("text",),
        networks=("encoder", "code_book"),
        metrics=("ValidationLoss",),
    )

    @property
    def tokens(self) -> int:
        """Length of a sample, in tokens."""
        return self.context_length
'''
CHAIN = '''\
"""A chain of two networks, each with an optimizer of its own."""

from torch import nn

from raygen.models.bigram.family import Bigram


class Chain(Bigram):
    def __init__(self, size):
        self.networks = {"encoder": nn.Embedding(size, 4), "code_book": nn.Linear(4, size)}
        self.networks["table"] = nn.Sequential(*self.networks.values())
        self.whole = self.networks.pop("table")

    def step(self, micro_batches, updates, workers):
        (micro,) = micro_batches
        loss = self._loss(micro.batch) * micro.share
        updates["encoder"].backward(loss)
        norms = {
            "gradient_norm": updates["encoder"].step(),
            "code_book_gradient_norm": updates["code_book"].step(),
        }
        (loss,) = workers.sum(loss.detach())
        return {"loss": loss} | norms

    def _loss(self, batch):
        logits = self.whole(batch["inputs"]).flatten(0, 1)
        return nn.functional.cross_entropy(logits, batch["targets"].flatten(), ignore_index=-1)


def build(job, domain, device):
    return Chain(domain.size)
'''
SGD = {"type": "SGD", "learningRate": 0.5}
SLOW = {"type": "SGD", "learningRate": 0.01}


@pytest.fixture(scope="module")
def chained(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with a family of two networks beside the other one."""
    copy = tmp_path_factory.mktemp("two") / "raygen"
    shutil.copytree(package, copy)
    folder = copy / "models/chain"
    folder.mkdir()
    (folder / "__init__.py").write_text('"""A chain."""\n')
    (folder / "family.py").write_text(CHAIN)
    (copy / "spec/families/chain.py").write_text(CHAIN_FIELDS)
    table = copy / "spec/families/table.py"
    replace(table, LINE, LINE + "    chain: Chain | None = _block(Chain)\n")
    replace(table, IMPORT, IMPORT + "from raygen.spec.families.chain import Chain\n")
    return copy


def write_chain(folder: Path, optimizers: dict[str, Any], **changes: Any) -> Path:
    path = folder / "job.json"
    document = job_document(
        model={"type": "Chain", "chain": {"contextLength": 8}},
        evaluation__samples=None,
        training__duration={"steps": 4},
        training__optimizers=optimizers,
        **{"training__optimizer": None} | changes,
    )
    path.write_text(json.dumps(document))
    return path


def train_chain(chained: Path, base: Path, **changes: Any) -> Any:
    job = write_chain(base, {"encoder": SGD, "codeBook": SLOW}, training__microBatchSize=None, **changes)
    return run(chained, "-m", "raygen", "train", str(job), "--output", str(base / "runs"), "--device", "cpu")


def test_two_networks_have_an_optimizer_each_and_the_first_one_leads(chained: Path, base: Path) -> None:
    trained = train_chain(chained, base, training__schedule={"type": "Linear", "finalLearningRate": 0.25})
    assert trained.returncode == 0, trained.stderr
    parts = [part.read_text() for part in sorted((base / "runs/tiny").glob("metrics/*.jsonl"))]
    lines = [json.loads(line) for part in parts for line in part.splitlines()]
    rates = [line["values"] for line in lines if line["kind"] == "train"][-1]
    found = {name: value for name, value in rates.items() if "learning_rate" in name}
    assert sorted(found.values()) == pytest.approx([0.005, 0.25])


def test_a_gradient_of_the_second_network_that_is_no_number_ends_the_run(chained: Path, base: Path) -> None:
    family = chained / "models/chain/family.py"
    replace(family, 'updates["code_book"].step(),', 'updates["code_book"].step() * float("nan"),')
    try:
        trained = train_chain(chained, base)
    finally:
        family.write_text(CHAIN)
    assert trained.returncode != 0
    assert "the code book gradient norm became nan" in trained.stderr


def test_a_family_that_makes_other_networks_than_it_names_is_told(chained: Path, base: Path) -> None:
    family = chained / "models/chain/family.py"
    replace(family, 'self.networks.pop("table")', 'self.networks["table"]')
    try:
        trained = train_chain(chained, base)
    finally:
        family.write_text(CHAIN)
    assert trained.returncode != 0
    assert "makes ('encoder', 'code_book', 'table')" in trained.stderr


OF_BOTH = (
    "A GAN has training.optimizers: {generator, discriminator}, a Chain has training.optimizers:"
    " {encoder, codeBook}; all others have training.optimizer."
)


@pytest.mark.parametrize(
    ("optimizers", "changes", "words"),
    [
        ({"encoder": SGD}, {}, f"spec.training.optimizers.codeBook: must be given exactly when model.type is Chain. {OF_BOTH}"),
        ({"encoder": SGD, "codeBok": SGD}, {}, "spec.training.optimizers.codeBok: {type, learningRate} is not a known key. Did you mean codeBook?"),
        ({"encoder": SGD, "codeBook": SGD, "generator": SGD}, {}, "spec.training.optimizers.generator: {type, learningRate} must be given exactly when model.type is GAN."),
        (None, {"training__optimizer": SGD}, f"spec.training.optimizers: must be given exactly when model.type is GAN or Chain, which has several networks. {OF_BOTH}"),
        ({"encoder": SLOW, "codeBook": SGD}, {"training__schedule": {"type": "Linear", "finalLearningRate": 0.2}}, "finalLearningRate: 0.2 must be at most the optimizer's learningRate"),
        ({"encoder": SGD, "codeBook": SLOW}, {"training__encoder": SGD}, "It belongs under spec.training.optimizers."),
    ],
)  # fmt: skip
def test_faults_of_two_networks_are_found_by_the_definition_too(
    chained: Path, base: Path, optimizers: Any, changes: dict[str, Any], words: str
) -> None:
    path = write_chain(base, optimizers, **changes)
    checked = run(chained, "-m", "raygen", "validate", str(path))
    assert checked.returncode == 2
    assert words in checked.stderr
    if "known key" not in checked.stderr:
        same = run(chained, "-c", f"{SAME_FAULTS}.hypothesis.inner_test({json.loads(path.read_text())})")
        assert same.returncode == 0, same.stderr


SAME_FAULTS = (
    "from tests.unit.spec.schema import test_base; test_base.test_rules_and_their_cel_find_the_same_faults"
)


def test_rules_and_their_cel_find_the_same_faults_with_it(chained: Path) -> None:
    same = run(chained, "-c", f"{SAME_FAULTS}()")
    assert same.returncode == 0, same.stderr
