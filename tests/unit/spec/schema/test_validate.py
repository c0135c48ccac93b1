from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given

from raygen.errors import ValidationError
from raygen.spec import Fault, TrainingJob, check, parse
from tests.budget import examples
from tests.jobs import image_job_document, job_document
from tests.unit.spec.documents import job_documents, mutated


def faults_of(document: Any, **options: Any) -> dict[str, Fault]:
    with pytest.raises(ValidationError) as caught:
        parse(document, **options)
    return {fault.path: fault for fault in caught.value.faults}


def only_fault(document: Any) -> Fault:
    (fault,) = faults_of(document).values()
    return fault


def test_a_right_job_is_read() -> None:
    job = parse(job_document())
    assert job.spec.training.optimizer.learning_rate == 0.01
    assert job.spec.data.train.sources[0].uri == "text.txt"


def test_whole_numbers_may_be_written_with_an_exponent() -> None:
    duration = parse(job_document(training__duration={"tokens": 1e9})).spec.training.duration
    assert duration.tokens == 1_000_000_000
    assert isinstance(duration.tokens, int)


def test_null_is_the_same_as_leaving_out_what_has_no_value() -> None:
    document = job_document()
    document["spec"]["training"]["ema"] = None
    assert parse(document).spec.training.ema is None


@pytest.mark.parametrize(
    ("path", "value", "at", "rule", "remedy"),
    [
        ("training__seed", -1, "spec.training.seed", "a whole number from 0", "in this range"),
        ("training__seed", 10**400, "spec.training.seed", "a whole number from 0", "in this range"),
        ("training__seed", 1.5, "spec.training.seed", "a whole number", "without decimals"),
        ("training__seed", True, "spec.training.seed", "a whole number", "Write a number"),
        ("training__seed", "3", "spec.training.seed", "a whole number", "Remove the quotes"),
        ("training__optimizer__learningRate", "1e-3", "spec.training.optimizer.learningRate", "a number above 0", "Remove the quotes"),
        ("training__optimizer__learningRate", float("nan"), "spec.training.optimizer.learningRate", "finite", "Write a number"),
        ("training__optimizer__learningRate", float("-inf"), "spec.training.optimizer.learningRate", "finite", "Write a number"),
        ("training__labelSmoothing", 1, "spec.training.labelSmoothing", "at least 0 and below 1", "in this range"),
        ("training__optimizer__type", "adamw", "spec.training.optimizer.type", "one of SGD, Adam, AdamW", "Did you mean AdamW?"),
        ("training__optimizer__type", 3, "spec.training.optimizer.type", "one of SGD", "Choose one"),
        ("training__optimizer__betas", [0.9], "spec.training.optimizer.betas", "a list of 2 items", "until there are 2"),
        ("training__optimizer__betas", [], "spec.training.optimizer.betas", "a list of 2 items", "until there are 2"),
        ("training__optimizer__betas", [0.1, 0.2, 0.3], "spec.training.optimizer.betas", "a list of 2 items", "Remove items"),
        ("training__optimizer__betas", 0.9, "spec.training.optimizer.betas", "a list of 2 items", "brackets"),
        ("training__optimizer__nesterov", "yes", "spec.training.optimizer.nesterov", "true or false", "Write true"),
        ("training__optimizer", "AdamW", "spec.training.optimizer", "a group of keys", "type, learningRate"),
        ("data__train__sources", [], "spec.data.train.sources", "a list of 1 to 500 items", "until there are 1"),
        ("data__train__sources", [{"uri": 5}], "spec.data.train.sources[0].uri", "text of 1 to 1024", "in quotes"),
        ("data__train__sources", [{"uri": ""}], "spec.data.train.sources[0].uri", "text of 1 to 1024", "Give it a value"),
        ("data__train__sources", [{"uri": "x" * 2000}], "spec.data.train.sources[0].uri", "text of 1 to 1024", "Shorten"),
        ("data__train__sources", [{"uri": "\ud800"}], "spec.data.train.sources[0].uri", "Unicode", "another"),
        ("data__train__sources", [{"uri": PurePosixPath("x")}], "spec.data.train.sources[0].uri", "must be text", "another"),
        ("data__train__sources", [{"uri": "x", "field": "t"}], "spec.data.train.sources[0].field", "or HuggingFace, not to this one (Text)", "set format: JsonLines"),
        ("evaluation__metrics", [{"name": "loss"}], "spec.evaluation.metrics[0].type", "is missing", "Add type: ValidationLoss: mean"),
        ("scale", {"memoryPerWorker": "16 GB"}, "spec.scale.memoryPerWorker", "a Kubernetes quantity", "Write it so"),
        ("model__transformer__hiddenSize", 17, "spec.model.transformer.hiddenSize", "a multiple of heads (2)", "heads x"),
        ("model__transformer", None, "spec.model.transformer", "must be given exactly when", "Give the block"),
        ("training__duration", {}, "spec.training.duration", "exactly one of steps, epochs, tokens", "Give one of"),
        ("training__duration", {"steps": 1, "tokens": 1}, "spec.training.duration", "exactly one of", "no other"),
        ("checkpoint__keepBest", {"metric": "los"}, "spec.checkpoint.keepBest.metric", "the name of a metric", "Name one"),
        ("output__uri", "s3://me:secret@b/x", "spec.output.uri", "without query", "plain path"),
    ],
)  # fmt: skip
def test_one_wrong_value_is_one_fault(path: str, value: Any, at: str, rule: str, remedy: str) -> None:
    fault = only_fault(job_document(**{path: value}))
    assert fault.path == at
    assert rule in fault.rule
    assert remedy in fault.remedy
    assert "secret" not in str(fault)


@pytest.mark.parametrize(
    ("path", "remedy"),
    [
        ("training__optimizer__learning_rate", "Write learningRate."),
        ("training__optimizer__LearningRate", "Write learningRate."),
        (
            "training__learningRate",
            (
                "It belongs under spec.training.optimizer or spec.training.optimizers.generator"
                " or spec.training.optimizers.discriminator."
            ),
        ),
        ("training__gradientClip", "Did you mean gradientClipNorm?"),
        ("seed", "It belongs under spec.training or spec.evaluation.generation."),
        ("data__train__fraction", "It belongs under spec.data.validation."),
        (
            "evaluation__temperature",
            (
                "It belongs under spec.evaluation.samples or spec.evaluation.generation"
                " or spec.data.train.mixture."
            ),
        ),
        ("checkpoint__xyz", "Remove it; the keys here are everySteps, everySeconds, keep, keepBest."),
    ],
)
def test_unknown_keys_say_what_was_probably_meant(path: str, remedy: str) -> None:
    fault = only_fault(job_document(**{path: 1}))
    assert fault.path == "spec." + path.replace("__", ".")
    assert (fault.rule, fault.remedy) == ("is not a known key", remedy)


ADAM = {"type": "Adam", "learningRate": 0.1}
OF_GAN = "A GAN has training.optimizers: {generator, discriminator}; all others have training.optimizer."


@pytest.mark.parametrize(
    ("changes", "at", "rule", "remedy"),
    [
        ({"discriminator": None}, "optimizers.discriminator", "must be given exactly when model.type is GAN", OF_GAN),
        ({"generator": None}, "optimizers.generator", "must be given exactly when model.type is GAN", OF_GAN),
        ({"critic": ADAM}, "optimizers.critic", "is not a known key", "Remove it; the keys here are generator, discriminator."),
        ({"generatr": ADAM}, "optimizers.generatr", "is not a known key", "Did you mean generator?"),
        ({"generator": ADAM | {"betas": [2, 0.9]}}, "optimizers.generator.betas[0]", "must be a number of at least 0 and below 1", "Choose a value in this range."),
        ({"generator": ADAM | {"momentum": 0.9}}, "optimizers.generator.momentum", "belongs to type SGD or Muon, not to this one (Adam)", "Remove momentum, or set type: SGD."),
    ],
)  # fmt: skip
def test_the_optimizers_of_several_networks(changes: dict[str, Any], at: str, rule: str, remedy: str) -> None:
    paths = {f"training__optimizers__{path}": value for path, value in changes.items()}
    fault = only_fault(image_job_document("GAN", **paths))
    assert (fault.path, fault.rule, fault.remedy) == (f"spec.training.{at}", rule, remedy)


def test_the_last_learning_rate_is_measured_against_the_first_network() -> None:
    def job(final: float, **changes: Any) -> dict[str, Any]:
        schedule = {"type": "Cosine", "finalLearningRate": final}
        rates = {"training__optimizers__generator": ADAM, "training__schedule": schedule}
        return image_job_document("GAN", **rates | changes)

    slow = {"training__optimizers__discriminator": ADAM | {"learningRate": 0.01}}
    parse(job(0.1, **slow))
    fault = only_fault(job(0.2, training__optimizers__discriminator=ADAM | {"learningRate": 1}))
    assert (fault.path, fault.rule) == (
        "spec.training.schedule.finalLearningRate",
        "must be at most the optimizer's learningRate",
    )
    found = faults_of(job(0.2, training__optimizers__discriminator={"type": "Adm"}))
    assert set(found) == {
        "spec.training.optimizers.discriminator.type",
        "spec.training.optimizers.discriminator.learningRate",
        "spec.training.schedule.finalLearningRate",
    }


@pytest.mark.parametrize("root", [None, "x", 3, [], [{}], True, 1.5])
def test_a_root_that_is_no_object(root: Any) -> None:
    fault = only_fault(root)
    assert (fault.path, fault.rule) == ("job", "must be a TrainingJob")


def test_another_kind_or_version() -> None:
    found = faults_of(job_document() | {"kind": "Sweep", "apiVersion": "raygen.io/v2"})
    assert found["kind"].rule == "must be TrainingJob"
    assert found["apiVersion"].rule == "must be raygen.io/v1alpha1"


def test_rules_are_checked_beside_other_faults_in_the_same_objects() -> None:
    document = job_document(
        model__transformer__hiddenSize=17,
        model__transformer__layers=0,
        training__schedule={"type": "Cosine", "warmupSteps": -1, "finalLearningRate": 1},
        training__optimizer__type="adam",
        scale={"workers": 5, "gpusPerWorker": "x"},
    )
    assert list(faults_of(document)) == [
        "spec.model.transformer.layers",
        "spec.model.transformer.hiddenSize",
        "spec.training.optimizer.type",
        "spec.training.schedule.warmupSteps",
        "spec.training.schedule.finalLearningRate",
        "spec.scale.workers",
        "spec.scale.gpusPerWorker",
    ]


def test_rules_stay_silent_where_what_they_read_is_wrong() -> None:
    document = job_document(model__transformer__heads=0, model__transformer__hiddenSize=17)
    assert list(faults_of(document)) == ["spec.model.transformer.heads"]


def test_faults_have_the_line_of_their_value_or_of_what_is_around_it() -> None:
    document = job_document(training__seed="x", training__duration=None, checkpoint__keep=1)
    lines = {
        ("spec",): 4,
        ("spec", "training"): 7,
        ("spec", "training", "seed"): 9,
        ("spec", "checkpoint", "keep"): None,
    }
    found = faults_of(document, lines=lines)
    assert found["spec.training.seed"].line == 9
    assert found["spec.training.duration"].line == 7
    assert found["spec.checkpoint.keep"].line is None


def test_faults_that_the_reader_knows_are_not_found_twice() -> None:
    known = Fault("spec.training.seed", "", "is there twice", "Remove one.", 3)
    document = job_document(training__seed="x", checkpoint__keep=1)
    found = faults_of(document, known=[(("spec", "training", "seed"), known)])
    assert list(found) == ["spec.training.seed", "spec.checkpoint.keep"]
    assert found["spec.training.seed"] == known


def test_labels_have_keys_of_their_own() -> None:
    document = job_document()
    document["metadata"]["labels"] = {"a b": "x", "[key]": 1, "ok": "y", "app.kubernetes.io/name": "-"}
    assert set(faults_of(document)) == {
        'metadata.labels["a b"]',
        'metadata.labels["[key]"]',
        'metadata.labels["app.kubernetes.io/name"]',
    }


def test_python_values_that_json_does_not_have() -> None:
    deep: Any = []
    for _ in range(300):
        deep = [deep]
    cycle: dict[str, Any] = {}
    cycle["x"] = cycle
    found = faults_of(job_document() | {"a": {1: 2}, "b": deep, "c": {"\ud800": 1}, "d": cycle, "e": b"x"})
    assert found['a["1"]'].rule == "is a key that is not text"
    assert sum("100 levels" in fault.rule for fault in found.values()) == 2
    assert any("not Unicode" in fault.rule for fault in found.values())
    assert "text, a number" in found["e"].rule


def test_a_document_without_end_is_cut() -> None:
    assert "at most 100000 values" in only_fault({"x": [[0] * 1000] * 1000}).rule


def test_secrets_are_never_shown() -> None:
    document = job_document(tracking={"wandb": {"apiKey": "k-123", "auth": {"x": "k-123"}}}) | {
        "password": "k-123"
    }
    with pytest.raises(ValidationError) as caught:
        parse(document)
    assert len(caught.value.faults) == 3
    assert "k-123" not in str(caught.value)
    assert "(hidden)" in str(caught.value)


def test_check_finds_what_copying_can_break() -> None:
    job = parse(job_document())
    assert check(job) == job
    broken = job.spec.training.model_copy(update={"seed": "x", "micro_batch_size": 99})
    wrong = job.model_copy(update={"spec": job.spec.model_copy(update={"training": broken})})
    with pytest.raises(ValidationError) as caught:
        check(wrong)
    assert {fault.path for fault in caught.value.faults} == {
        "spec.training.seed",
        "spec.training.microBatchSize",
    }


@examples(300)
@given(mutated(job_documents()))
def test_any_document_is_read_or_explained(document: Any) -> None:
    faults, job = _parsed(document)
    for fault in faults:
        assert fault.path
        assert fault.rule
        assert fault.remedy.endswith((".", "?"))
        assert "Input" not in fault.rule
        assert len(str(fault)) < 600
        str(fault).encode()
    if job is not None:
        assert parse(job.model_dump(mode="json")) == job
    else:
        assert faults


def _parsed(document: Any) -> tuple[tuple[Fault, ...], TrainingJob | None]:
    try:
        return (), parse(document)
    except ValidationError as error:
        return error.faults, None
