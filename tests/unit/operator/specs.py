"""Jobs and runtimes drawn at random from a seed, for tests over many of them; some have to be refused."""

from __future__ import annotations

import random
from typing import Any

from tests.unit.operator.attempts.world import DIGEST, Object, job, runtime

SHELL = (
    "$(id)",
    "`id`",
    "; rm -rf x",
    "$HOME",
    "$(AWS_SECRET_ACCESS_KEY)",
    "'\"\\",
    "a\nb",
    "$$(X)",
    "%s{}",
    "é漢😀",
)
"""Texts that a shell, Kubernetes or a format would not leave as they are."""


def drawn(seed: int, *, shared: bool = False) -> tuple[Object, Object]:
    """A TrainingJob and its RaygenRuntime; `shared`: which mostly sends jobs to a cluster that is there."""
    draw = random.Random(seed)
    document, grants = _job(draw, seed), _runtime(draw)
    if draw.random() < 0.5:
        grants["spec"]["scheduler"] = scheduler_for(draw, document["spec"].get("scheduling"))
    if shared and draw.random() < 0.7:
        # Mostly a pair that gets along.
        grants["spec"] |= {"sharedCluster": "shared", "environmentSecrets": []}
        if draw.random() < 0.8:
            document["spec"].pop("scheduling", None)
            document["spec"]["scale"].pop("acceleratorType", None)
            grants["spec"].pop("scheduler", None)
    return document, grants


def _job(draw: random.Random, seed: int) -> Object:
    changes: dict[str, Any] = {}
    scale: Object = {"workers": draw.choice([1, 2, 3, 4, 4, 65])}
    _maybe(draw, scale, "gpusPerWorker", [0, 1, 8, 64])
    _maybe(draw, scale, "cpusPerWorker", [1, 4, 1024])
    _maybe(draw, scale, "memoryPerWorker", ["4Gi", "0.5G", "123456789", "1.5Ti"])
    _maybe(draw, scale, "acceleratorType", ["NVIDIA-H100-80GB-HBM3", "a"])
    changes["scale"] = scale
    changes["training__globalBatchSize"] = 128
    changes["evaluation__samples__prompts"] = draw.sample(SHELL, draw.randint(0, 3))
    changes["output"] = {
        "uri": draw.choice(
            ["s3://runs/team/", "s3://runs/team", "s3://runs/team/$(X)", "s3://runs/other/", "runs"]
        )
    }
    _maybe(draw, changes["output"], "run", ["r", "a.B_c-9"])
    changes["data__train"] = {
        "sources": [
            {"uri": f"s3://datasets/{number}.txt"}
            for number in range(500 if draw.random() < 0.03 else draw.choice([1, 2]))
        ]
    }
    if draw.random() < 0.3:
        changes["preparation"] = preparation_of(draw)
    if draw.random() < 0.5:
        changes["scheduling"] = scheduling_of(draw)
    for key, choices in {
        "suspend": [True, False],
        "activeDeadlineSeconds": [1, 3600, 2**31 - 1],
        "ttlSecondsAfterFinished": [0, 2**31 - 1],
        "attempts": [{}, {"limit": 1}, {"limit": 100}],
        "runtimeRef": [{}, {"name": "default"}],
    }.items():
        _maybe(draw, changes, key, choices)
    rest = "".join(draw.choice("abcdefghij0123456789--") for _ in range(draw.choice([0, 7, 39])))
    # Most begin as they must, and end so.
    name = draw.choice("abcdefghijklmnopqrstuvwxyz" * 2 + "01-") + rest
    return job(name.rstrip("-") or "a", **changes) | {"seed": seed}


def _runtime(draw: random.Random) -> Object:
    changes: Object = {
        "image": draw.choice([f"a.b:5000/x@{DIGEST}", f"raygen.test/train@{DIGEST}"]),
    }
    for key, choices in {
        "imagePullSecrets": [[], ["pull"]],
        "serviceAccountName": ["runner", "a.b"],
        "nodeSelector": [{}, {"pool": "gpu", "a.b/c": ""}],
        "tolerations": [[], [{"key": "gpu"}], [{"key": "a/b", "value": "c", "effect": "NoSchedule"}]],
        "environment": [{}, {"NCCL_DEBUG": "INFO", "X": "$(AWS_SECRET_ACCESS_KEY)"}, {"RAYGEN_JOB": "mine"}],
        "environmentSecrets": [[], ["storage", "more.of-it"]],
        "extendedResources": [{}, {"rdma/ib": "1"}],
        "gpus": [{}, {"resource": "amd.com/gpu", "label": "amd.com/gpu.product"}],
        "head": [{}, {"cpu": "2", "memory": "8Gi"}],
        "sharedMemory": ["2Gi", "100M"],
        "stopSeconds": [15, 60, 3600],
        "ceilings": [{}, {"workers": 4096, "gpus": 262144}, {"workers": 2}],
        "allowedNamespaces": [["team"], ["*"], ["team", "other"], ["other"]],
    }.items():
        _maybe(draw, changes, key, choices)
    storage = {"allowedUriPrefixes": ["s3://datasets", "s3://runs/{namespace}/"]}
    _maybe(draw, storage, "endpoint", ["http://s3.storage.svc.cluster.local", "https://s3.example.org:9000"])
    _maybe(draw, storage, "region", ["us-east-1"])
    _maybe(draw, changes, "cpuLimitRatio", [1, 1.5, 4])
    _maybe(draw, changes, "runAs", [{}, {"user": 1000}, {"user": 7, "volumeGroup": 0}])
    return runtime(**changes, storage=storage)


def preparation_of(draw: random.Random) -> Object:
    """How a job has its data prepared."""
    wanted: Object = {"uri": draw.choice([*["s3://runs/team/p/"] * 19, "s3://runs/other/p"])}
    _maybe(draw, wanted, "workers", [*[1, 2, 3, 4, 8] * 4, 65])
    _maybe(draw, wanted, "cpusPerWorker", [1, 64])
    _maybe(draw, wanted, "memoryPerWorker", ["4Gi", "0.5G"])
    return wanted


def scheduling_of(draw: random.Random) -> Object:
    """What a job asks of a scheduler."""
    scheduling: Object = {
        "queueName": draw.choice(["research", "research", "root.team.x", "team-low", "Q.1"])
    }
    if draw.random() < 0.3:
        scheduling["priorityClassName"] = draw.choice(["high", "a.b-c"])
    return scheduling


def scheduler_for(draw: random.Random, asked: Object | None) -> Object:
    """The scheduler of a runtime, mostly one with which a job that asks for this gets along."""
    gang = ["Volcano", "YuniKorn"] if asked is None else ["Volcano", "KAI", "YuniKorn", "Kueue"]
    kind = draw.choice(gang) if draw.random() < 0.9 else draw.choice(["Kubernetes", "Kueue", "KAI"])
    scheduler: Object = {"type": kind}
    if kind == "KAI" or (kind in gang[:3] and draw.random() < 0.9):
        queues = [["*"], ["*"], ["research", "Q.1", "{namespace}-low"], ["root.{namespace}.x"]]
        scheduler["queueNames"] = draw.choice(queues)
    if draw.random() < 0.8:
        scheduler["priorityClassNames"] = draw.choice([[], ["high", "a.b-c"], ["high", "a.b-c"]])
    return scheduler


def _maybe(draw: random.Random, target: Object, key: str, choices: list[Any]) -> None:
    if draw.random() < 0.6:
        target[key] = draw.choice(choices)
