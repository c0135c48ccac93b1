"""Strategies for job documents: values that are right one by one, related at random, and mutations."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from raygen.spec import TrainingJob
from raygen.spec.job.value_changes import CHANGEABLE_VALUES
from raygen.spec.schema.fields import Shape, fields_of

_URIS = ["x", "../a/*.txt", "s3://b/k/", "file:///a", "a%20b", "a@b"]
_WRONG_URIS = [
    "a?b",
    "a#b",
    "s3://u:p@b/k",
    "s3://b/%41",
    "file:///a/../b",
    "s3://b/.",
    "s3://b/..",
    "a\x00",
    "a\n",
]
_CHANGED = [*CHANGEABLE_VALUES, "training.seed", "model.vae.latentSize"]
ODD = [
    None,
    True,
    False,
    -1,
    0,
    1,
    2.0,
    1.5,
    1e20,
    10**30,
    "",
    "x",
    "1e-3",
    "yes",
    "A b",
    [],
    [1],
    {},
    {"a": 1},
    ["x", "x"],
]


def job_documents() -> st.SearchStrategy[dict[str, Any]]:
    """Jobs whose fields are all in order; rules over several fields may be broken."""
    return _object(TrainingJob)


def _object(model: Any) -> st.SearchStrategy[dict[str, Any]]:
    fields = fields_of(model)
    required = {key: _value(field.shape, key) for key, field in fields.items() if field.required}
    optional = {key: _value(field.shape, key) for key, field in fields.items() if not field.required}
    return st.fixed_dictionaries(required, optional=optional)


def _value(shape: Shape, key: str = "") -> st.SearchStrategy[Any]:
    if shape.nullable:
        plain = Shape(shape.kind, False, shape.model, shape.items, shape.keys, shape.choices, shape.bounds)
        return st.one_of(_value(plain, key), st.none())
    if shape.model is not None:
        return _object(shape.model)
    if shape.kind == "list" and shape.items is not None:
        low = shape.bounds.get("min_length", 0)
        return st.lists(_value(shape.items, key), min_size=low, max_size=max(low, 2))
    if key == "values" and shape.kind == "map":
        return st.dictionaries(
            st.sampled_from(_CHANGED), st.sampled_from([0, 0.5, 1]), min_size=1, max_size=3
        )
    if shape.kind == "map" and shape.items is not None and shape.items.kind == "number":
        return st.dictionaries(st.sampled_from(["a", "b_2"]), st.sampled_from([0.5, 3]), max_size=2)
    if shape.kind == "map":
        return st.dictionaries(st.sampled_from(["a", "b.c/d"]), st.sampled_from(["", "v"]), max_size=2)
    if shape.kind == "choice":
        return st.sampled_from(shape.choices)
    if shape.kind == "truth":
        return st.booleans()
    return st.sampled_from(_scalars(shape, key))


def _scalars(shape: Shape, key: str) -> list[Any]:
    if shape.kind == "text":
        known = {
            "uri": _URIS + _WRONG_URIS,
            "labels": _URIS + _WRONG_URIS,
            "memoryPerWorker": ["16Gi", "0.5G"],
            "entrypoint": ["a:B", "a.b:C"],
            "sha256": ["0" * 64],
            "languages": ["en", "unknown"],
        }
        return known.get(key, ["loss", "b"])
    low = shape.bounds.get("ge", 1)
    if shape.kind == "whole":
        return [low, low + 1, low + 2, low + 3, low + 7]
    high = shape.bounds.get("le", shape.bounds.get("lt", 1))
    values = [high / 4, high / 2, min(1, high / 2)]
    return [low, *(max(low, one) for one in values)] if "ge" in shape.bounds else [high / 8, *values]


@st.composite
def mutated(draw: st.DrawFn, documents: st.SearchStrategy[Any]) -> Any:
    """A document with one to three values replaced, removed or added."""
    document = copy.deepcopy(draw(documents))
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(document))
        if not places:
            return document
        holder, key = draw(st.sampled_from(places))
        what = draw(st.sampled_from(["replace", "remove", "add"]))
        if what == "replace":
            holder[key] = copy.deepcopy(draw(st.sampled_from(ODD)))
        elif what == "remove":
            del holder[key]
        elif isinstance(holder, dict):
            holder[draw(st.sampled_from(["steps", "learning_rate", "x", "Type", "é\n"]))] = 1
        else:
            holder.append(copy.deepcopy(draw(st.sampled_from(ODD))))
    return document


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in inner:
        yield value, key
        yield from _places(below)


@st.composite
def valid_jobs(draw: st.DrawFn) -> dict[str, Any]:
    """Jobs without a fault, with every type of every union, and some of its fields."""
    optional = st.fixed_dictionaries
    heads = draw(st.integers(1, 4))
    kinds = draw(st.sampled_from([*_OPTIMIZER_FIELDS]))
    extra = draw(optional({}, optional={k: st.just(v) for k, v in _OPTIMIZER_FIELDS[kinds].items()}))
    schedule = draw(st.sampled_from(["Constant", "Cosine", "Linear", "WarmupStableDecay"]))
    final = {"finalLearningRate": st.sampled_from([0, 0.001, 0.1])} if schedule != "Constant" else {}
    decay = {"decaySteps": st.integers(1, 5)} if schedule == "WarmupStableDecay" else {}
    source = st.one_of(
        st.fixed_dictionaries({"uri": st.sampled_from(_URIS)}),
        st.fixed_dictionaries(
            {"uri": st.just("a"), "format": st.just("JsonLines")}, optional={"field": st.just("t")}
        ),
    )
    sources = st.lists(source, min_size=1, max_size=3)
    validation = st.one_of(st.fixed_dictionaries({"sources": sources}), st.just({"fraction": 0.1}))
    architecture = {
        "layers": 1,
        "heads": heads,
        "hiddenSize": heads * 2 * draw(st.integers(1, 40)),
        "contextLength": 8,
    }
    shape = {
        "activation": st.sampled_from(["SwiGLU", "GELU"]),
        "kvHeads": st.just(1),
        "feedForwardSize": st.just(7),
    }
    tokenizers = [{"type": "Character"}, {"type": "BPE"}, {"type": "BPE", "vocabularySize": 300}]
    training = {
        "duration": draw(st.sampled_from([{"steps": 10}, {"epochs": 0.5}, {"tokens": 1e6}])),
        "globalBatchSize": 4,
        "optimizer": {"type": kinds, "learningRate": 0.1} | extra,
        "schedule": {"type": schedule}
        | draw(optional({}, optional={"warmupSteps": st.just(2)} | final | decay)),
    }
    data = {"train": {"sources": draw(sources)}, "tokenizer": draw(st.sampled_from(tokenizers))}
    spec = {
        "model": {"type": "Transformer", "transformer": architecture | draw(optional({}, optional=shape))},
        "data": data | draw(optional({}, optional={"validation": validation})),
        "training": training
        | draw(optional({}, optional={"microBatchSize": st.just(2), "ema": st.just({})})),
    }
    others = {
        "output": st.just({"run": "r"}),
        "scale": st.just({"workers": 2}),
        "tracking": st.just({"mlflow": {}}),
    }
    prompts = st.lists(st.text(max_size=8), max_size=2)
    others["evaluation"] = st.fixed_dictionaries(
        {"samples": st.fixed_dictionaries({"everySteps": st.just(3), "prompts": prompts})}
    )
    return {
        "apiVersion": "raygen.io/v1alpha1",
        "kind": "TrainingJob",
        "metadata": {"name": "n"},
        "spec": spec | draw(optional({}, optional=others)),
    }


_OPTIMIZER_FIELDS: dict[str, dict[str, Any]] = {
    "SGD": {"momentum": 0.5},
    "Adam": {"betas": [0.1, 0.2], "epsilon": 1e-5},
    "AdamW": {"betas": [0.1, 0.2], "weightDecay": 0.1},
    "AdaGrad": {"epsilon": 1e-5},
    "Muon": {"momentum": 0.5, "nesterov": False, "matrixLearningRate": 0.5},
}
