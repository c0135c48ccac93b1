"""Each default stands once: one that is changed in the spec arrives wherever it is used, on a copy of the package."""

from __future__ import annotations

import json
from pathlib import Path

from tests.copies import copied, replace, run

CHANGES = (
    ("job/training.py", "betas: tuple[Beta, Beta] = (0.9, 0.999)", "betas: tuple[Beta, Beta] = (0.5, 0.6)"),
    (
        "job/training.py",
        "matrix_learning_rate: LearningRate = 0.02",
        "matrix_learning_rate: LearningRate = 0.5",
    ),
    ("job/guards.py", "threshold: NonNegative = 0.8", "threshold: NonNegative = 0.3"),
    ("data/tokenizers.py", "= 4096", "= 300"),
    ("data/sources.py", 'field: _FieldName = "text"', 'field: _FieldName = "body"'),
    ("job/evaluation.py", "le=5000)] = 100", "le=5000)] = 7"),
    ("families/gan.py", "target: Fraction = 0.6", "target: Fraction = 0.1"),
    ("families/vae.py", "= (400,)", "= (3,)"),
    ("families/transformer.py", '"kv_heads": self.heads', '"kv_heads": 1'),
    ("job/cluster.py", "le=100)] = 3", "le=100)] = 1"),
    ("runtime.py", "le=100_000)] = 720", "le=100_000)] = 2"),
    ("runtime.py", "DEFAULT_HEAD_LOST_SECONDS = 300", "DEFAULT_HEAD_LOST_SECONDS = 20"),
)
PROGRAM = """
import json, random, sys
from datetime import UTC, datetime
from pathlib import Path

import torch

from raygen.data.text.documents import read_documents
from raygen.data.text.tokenizers import train_tokenizer
from raygen.models.protocol import sort_parameters
from raygen.models.registry import build_family
from raygen.operator.attempts.policies.deadline import seconds_left
from raygen.spec import parse, resolve
from raygen.training.engine.guards import Guards
from raygen.training.optimizers.updates import make_optimizers
from tests.jobs import image_job_document, job_document
from tests.unit.operator.attempts.world import World


class Domain:
    size, end_of_text = 5, None
    channels, height, width, classes = 1, 16, 16, ()

    def encode(self, text):
        return []

    def decode(self, tokens):
        return ""


def job(document):
    return resolve(parse(document))


def model(document):
    return build_family(job(document), Domain(), torch.device("cpu"))


def optimizers(kind):
    training = job(job_document(training__optimizer__type=kind)).spec.training
    return make_optimizers(sort_parameters(torch.nn.Linear(2, 2)), training.optimizer_of("model"))


base = Path(sys.argv[1])
lines = [{"uri": "lines.jsonl", "format": "JsonLines"}]
data = job(job_document(data__train__sources=lines, data__tokenizer={"type": "BPE"})).spec.data
texts = read_documents(data.train.sources, base)
letters = random.Random(0)
words = [" ".join("".join(letters.choices("abcdefgh", k=6)) for _ in range(500))]
guards = [{"type": "TextRepetition", "action": "Warn"}]
watched = Guards(job(job_document(training__guards=guards)).spec.training, 0, lambda notice: None)
watched.texts(1, ["a b c d a b c d a b c d e f g h"])
likelihood = [{"name": "nll", "type": "NegativeLogLikelihood"}]
metric = job(image_job_document("VAE", evaluation__metrics=likelihood)).spec.evaluation.metrics[0]
vae = model(image_job_document("VAE", model__vae__hiddenSizes=None))
now = datetime(2026, 1, 1, tzinfo=UTC)
ended, lost = World(), World()
for world in (ended, lost):
    world.settle()
    world.running(step=10)
    world.settle()
ended.driver_says(state="Failed", exitCode=1, reason="RunError", message="it failed")
ended.over(status="FAILED")
ended.settle()
del lost.pods["tiny-r1-head"]
lost.settle()
lost.wait(20)
lost.settle()
print(json.dumps({
    "betas": optimizers("Adam")["main"].defaults["betas"],
    "muon": optimizers("Muon")["matrices"].param_groups[0]["lr"],
    "guard": [finding.threshold for finding in watched.findings],
    "vocabulary": train_tokenizer(data.tokenizer, words).size,
    "texts": texts,
    "draws": metric.importance_samples,
    "target": job(image_job_document("GAN", model__gan__augmentation={"type": "Adaptive"})).spec.model.gan.augmentation.target,
    "hidden": [layer.out_features for layer in vae.network.encoder.layers if isinstance(layer, torch.nn.Linear)][0],
    "kv": model(job_document()).decoder.layers[0].attention.kv_heads,
    "hours": seconds_left({}, {"spec": {}}, "2026-01-01T00:00:00Z", now) / 3600,
    "attempts": ended.condition(),
    "head": lost.writes[-1],
}))
"""


def test_a_default_that_is_changed_arrives_where_it_is_used(tmp_path: Path) -> None:
    copy = copied(tmp_path)
    for file, old, new in CHANGES:
        replace(copy / "spec" / file, old, new)
    (tmp_path / "lines.jsonl").write_text('{"text": "a", "body": "b c d e"}\n')
    done = run(copy, "-c", PROGRAM, str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "betas": [0.5, 0.6],
        "muon": 0.5,
        "guard": [0.3],
        "vocabulary": 300,
        "texts": ["b c d e"],
        "draws": 7,
        "target": 0.1,
        "hidden": 3,
        "kv": 1,
        "hours": 2,
        "attempts": ["False", "RunError"],
        "head": "delete tiny-r1",
    }
