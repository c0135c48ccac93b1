"""Fills in the defaults that follow from other fields, once; what the user set is never changed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, TypeVar

from raygen.spec.families.gan import GAN
from raygen.spec.families.vae import VAE
from raygen.spec.job.data import Data, Source
from raygen.spec.job.guards import GUARD_DEFAULTS, USUAL, Guard
from raygen.spec.job.model import Model, Transformer
from raygen.spec.job.training import Optimizer, Schedule, Training
from raygen.spec.job.training_job import TrainingJob
from raygen.spec.schema.base import Spec

S = TypeVar("S", bound=Spec)

SWIGLU_MULTIPLE = 8
"""Widths are rounded up to this, so that matrix kernels have whole tiles."""

SOURCE_DEFAULTS: dict[str, dict[str, Any]] = {
    "JsonLines": {"field": "text"},
    "Parquet": {"field": "image"},
}

OPTIMIZER_DEFAULTS: dict[str, dict[str, Any]] = {
    "SGD": {"momentum": 0.0, "nesterov": False},
    "Adam": {"betas": (0.9, 0.999), "epsilon": 1e-8},
    "AdamW": {"betas": (0.9, 0.95), "epsilon": 1e-8},
    "AdaGrad": {"epsilon": 1e-10},
    "Muon": {
        "betas": (0.9, 0.95),
        "epsilon": 1e-8,
        "momentum": 0.95,
        "nesterov": True,
        "matrix_learning_rate": 0.02,
    },
}


def resolve(job: TrainingJob) -> TrainingJob:
    """The job with every default written out that follows from the job alone. Twice is the same as once.

    Left open are `microBatchSize` and `cpusPerWorker`, which depend on the machine, and `decaySteps`, which
    follows from the duration: that may change between attempts, and the schedule changes with it.
    """
    spec = job.spec
    model = spec.model
    if model.transformer is not None:
        model = _filled(model, {}, {"transformer": _transformer(model.transformer)})
    if model.vae is not None:
        model = _filled(model, {}, {"vae": _vae(model.vae)})
    if model.gan is not None:
        model = _filled(model, {}, {"gan": _gan(model.gan)})
    resolved = {
        "model": model,
        "data": _data(spec.data),
        "training": _guarded(_training(spec.training), model),
        "output": _filled(spec.output, {"run": job.metadata.name}),
    }
    return _filled(job, {}, {"spec": _filled(spec, {}, resolved)})


def _data(data: Data) -> Data:
    tokenizer, validation = data.tokenizer, data.validation
    if tokenizer is not None:
        tokenizer = _filled(tokenizer, {"vocabulary_size": 4096} if tokenizer.type == "BPE" else {})
    if validation is not None and validation.sources is not None:
        validation = _filled(validation, {}, {"sources": _sources(validation.sources)})
    resolved = {
        "train": _filled(data.train, {}, {"sources": _sources(data.train.sources)}),
        "validation": validation,
        "tokenizer": tokenizer,
    }
    return _filled(data, {}, resolved)


def _sources(sources: tuple[Source, ...]) -> tuple[Source, ...]:
    return tuple(_filled(s, SOURCE_DEFAULTS.get(s.format, {})) for s in sources)


def _transformer(a: Transformer) -> Transformer:
    if a.activation == "SwiGLU":
        # Three matrices instead of two: 8/3 of the width costs what 4 times the width costs without a gate.
        width = -(-8 * a.hidden_size // (3 * SWIGLU_MULTIPLE)) * SWIGLU_MULTIPLE
    else:
        width = 4 * a.hidden_size
    return _filled(a, {"kv_heads": a.heads, "feed_forward_size": width})


def _vae(vae: VAE) -> VAE:
    shape: dict[str, Any] = (
        {"hidden_sizes": (400,), "activation": "ReLU"}
        if vae.network == "MLP"
        else {"channels": (32, 64, 128), "blocks": 1}
    )
    return _filled(vae, shape | ({"binarisation": "GreyLevels"} if vae.likelihood == "Bernoulli" else {}))


def _gan(gan: GAN) -> GAN:
    augmentation = gan.augmentation
    if augmentation is not None and augmentation.type == "Adaptive":
        augmentation = _filled(augmentation, {"target": 0.6, "ramp_images": 500_000})
    defaults: dict[str, Any] = {"normalisation": "Batch" if gan.network == "DCGAN" else "Off"}
    if gan.loss == "Wasserstein":
        defaults["gradient_penalty"] = 10.0
    return _filled(gan, defaults, {"augmentation": augmentation})


def _training(training: Training) -> Training:
    schedule: Schedule = training.schedule
    if schedule.type != "Constant":
        final = training.leading_optimizer.learning_rate / 10 if schedule.type == "Cosine" else 0.0
        schedule = _filled(schedule, {"final_learning_rate": final})
    optimizer, several = training.optimizer, training.optimizers
    resolved = {
        "schedule": schedule,
        "optimizer": None if optimizer is None else _optimizer(optimizer),
        "optimizers": None
        if several is None
        else _filled(
            several,
            {},
            {
                "generator": _optimizer(several.generator),
                "discriminator": _optimizer(several.discriminator),
            },
        ),
    }
    return _filled(training, {}, resolved)


def _guarded(training: Training, model: Model) -> Training:
    guards = training.guards
    if guards is None:
        first, *others = USUAL[model.type]
        if model.gan is not None and model.gan.loss in ("Wasserstein", "Relativistic"):
            # Their scores have no zero that real and generated images would lie on either side of.
            others.remove("DiscriminatorOverpowering")
        chosen = {first: "Stop"} | dict.fromkeys(others, "Warn")
        guards = tuple(Guard.model_validate({"type": kind, "action": act}) for kind, act in chosen.items())
    return _filled(training, {}, {"guards": tuple(_filled(g, GUARD_DEFAULTS[g.type]) for g in guards)})


def _optimizer(optimizer: Optimizer) -> Optimizer:
    return _filled(optimizer, OPTIMIZER_DEFAULTS[optimizer.type])


def _filled(model: S, defaults: dict[str, Any], replaced: dict[str, Any] | None = None) -> S:
    missing = {name: value for name, value in defaults.items() if getattr(model, name) is None}
    return model.model_copy(update=missing | (replaced or {}))


CHANGEABLE = (
    "metadata.annotations",
    "metadata.labels",
    "metadata.namespace",
    "spec.activeDeadlineSeconds",
    "spec.attempts",
    "spec.checkpoint",
    "spec.data.train.sources",
    "spec.data.validation",
    "spec.evaluation",
    "spec.output",
    "spec.runtimeRef",
    "spec.scale",
    "spec.scheduling",
    "spec.suspend",
    "spec.tracking",
    "spec.training.compile",
    "spec.training.duration",
    "spec.training.earlyStopping",
    "spec.training.guards",
    "spec.training.microBatchSize",
    "spec.ttlSecondsAfterFinished",
)
"""What may differ between attempts of one run. Data may be elsewhere; that it is the same data is checked by
its fingerprint."""


def may_change(path: str) -> bool:
    """Whether a value may differ between attempts of one run."""
    return any(path == allowed or path.startswith((allowed + ".", allowed + "[")) for allowed in CHANGEABLE)


@dataclass(frozen=True)
class Change:
    """A value that differs between two jobs.

    Attributes:
        path: Where, as keys with dots.
        before: The value in the older job; None where there is none.
        after: The value in the newer one.
    """

    path: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.path}: {json.dumps(self.before)} in the run, {json.dumps(self.after)} now"


def diff(before: TrainingJob, after: TrainingJob) -> list[Change]:
    """Every value that differs between two resolved jobs, in the order of the format; a list is one value."""
    old, new = (dict(_leaves(job.model_dump(mode="json"), "")) for job in (before, after))
    return [
        Change(path, old.get(path), new.get(path))
        for path in dict.fromkeys([*old, *new])
        if old.get(path) != new.get(path)
    ]


def _leaves(value: Any, path: str) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [leaf for k, v in value.items() for leaf in _leaves(v, f"{path}.{k}" if path else k)]
    return [(path, value)]
