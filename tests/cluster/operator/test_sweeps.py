"""Sweeps before a real API server: what it takes, what cannot change, and that policies and operator refuse the same."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raygen.errors import ValidationError
from raygen.kube import RAY_CLUSTERS, SWEEPS, ApiError, Connection
from raygen.kube.connection import MERGE
from raygen.operator.rayjob.render import GROUP_NAME, travelling
from raygen.operator.sweep.asked import refusals
from raygen.spec.names import DRIVER_MANAGER, JOB_LABEL, KIND_LABEL, OPERATOR_MANAGER
from raygen.spec.runtime import parse_runtime
from raygen.spec.schema.validate import parse_kind
from raygen.spec.sweep.sweep import Sweep
from tests.cluster.api import until
from tests.cluster.apiserver import ApiServer
from tests.cluster.operator.test_admission import (
    bound_token,
    install_roles,
    install_runner,
    put_runtime,
    token_of,
)
from tests.sweeps import RATE, sweep_document
from tests.unit.operator.attempts.world import runtime
from tests.unit.spec.sweep.test_sweep import damaged, fields, scalars, spec_fields, template_fields

Object = dict[str, Any]


@pytest.fixture(scope="module", autouse=True)
def _roles(admin: Connection) -> None:
    install_roles(admin)


def of_team(team: str, runtime_name: str = "default", **changes: Any) -> Object:
    document = sweep_document(
        **{
            "template__spec__data__train": {"sources": [{"uri": "s3://datasets/text.txt"}]},
            "output": {"uri": f"s3://runs/{team}/"},
            "runtimeRef": {"name": runtime_name},
            **changes,
        }
    )
    document["metadata"] = {"name": "rates", "namespace": team}
    return document


def submitted(connection: Connection, document: Object) -> ApiError | None:
    """Why a sweep is refused, if it is."""
    path = SWEEPS.path(document["metadata"]["namespace"])
    query = {"dryRun": "All", "fieldValidation": "Strict"}
    try:
        connection.request("POST", path, query=query, body=document)
    except ApiError as error:
        return error
    return None


@settings(
    max_examples=400,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.tuples(fields, scalars), max_size=3), st.lists(spec_fields, max_size=2), template_fields)
def test_damaged_sweeps_have_the_same_verdict(
    admin: Connection,
    changed: list[tuple[str, Any]],
    others: list[tuple[str, Any]],
    template: tuple[str, Any],
) -> None:
    document = damaged(changed, others, template)
    document["metadata"] = {"name": "rates", "namespace": "default"}
    try:
        parse_kind(Sweep, document)
    except ValidationError as error:
        ours: ValidationError | None = error
    else:
        ours = None
    theirs = submitted(admin, document)
    if theirs is not None and "ValidatingAdmissionPolicy" in theirs.what:
        # Policies are asked last, of what the definition has taken.
        theirs = None
    assert (ours is None) == (theirs is None), f"{json.dumps(document)}\n{ours}\n{theirs}"


def test_what_decides_trials_cannot_change_and_what_they_may_cost_can(admin: Connection, team: str) -> None:
    put_runtime(admin, "default", allowedNamespaces=["*"])
    until("the policies to see the runtime", 20, lambda: submitted(admin, of_team(team)) is None)
    admin.create(SWEEPS, team, of_team(team))

    def change(**spec: Any) -> None:
        admin.request("PATCH", SWEEPS.path(team, "rates"), body={"spec": spec}, content_type=MERGE)

    wider = [{"path": RATE, "type": "Real", "low": 1e-5, "high": 1.0, "scale": "Log"}]
    for allowed in (
        {"budget": {"trials": 9}},
        {"concurrency": 4},
        {"search": {"type": "TPE"}},
        {"parameters": wider},
        {"suspend": True},
        {"failedTrials": 9},
    ):
        change(**allowed)
    for refused in (
        {"template": {"spec": {"training": {"seed": 3}}}},
        {"objectives": [{"metric": "loss", "goal": "Maximize"}]},
        {"output": {"sweep": "other"}},
    ):
        with pytest.raises(ApiError, match="cannot change, since it decides what trials are"):
            change(**refused)


def drawn(draw: random.Random, team: str, name: str) -> tuple[Object, Object]:
    """What a runtime grants, and a sweep that names it."""
    grants: Object = {
        "allowedNamespaces": draw.choice([["*"], ["*"], [team], ["other"]]),
        "storage": {"allowedUriPrefixes": ["s3://datasets/", *draw.choice([["s3://runs/{namespace}"], []])]},
        "ceilings": draw.choice([{}, {}, {"workers": 2}, {"gpus": 8}, {"hours": 1}]),
    } | draw.choice([{}, {}, {"allowCustomCode": True}, {"sharedCluster": "shared"}])
    changes: Object = {
        "concurrency": draw.choice([1, 2, 3, 5]),
        "template__spec__scale": draw.choice([{}, {"gpusPerWorker": 2}, {"cpusPerWorker": 2}]),
    }
    if draw.random() < 0.2:
        changes |= {"template__spec__scale": {"gpusPerWorker": 1}, "trialsPerWorker": 4, "trialsPerGpu": 3}
        grants["ceilings"] = {"gpus": draw.choice([1, 2, 3])}
    if draw.random() < 0.3:
        changes["autoscaling"] = {"minWorkers": 1}
        grants |= draw.choice([{}, {"scheduler": {"type": "Kueue"}}, {"sharedCluster": "shared"}])
        if "scheduler" in grants:
            grants.pop("sharedCluster", None)
            changes["scheduling"] = {"queueName": "q"}
    if draw.random() < 0.4 and "trialsPerGpu" not in changes:
        changes["trialsPerWorker"] = draw.choice([2, 8])
    if draw.random() < 0.2:
        changes["activeDeadlineSeconds"] = draw.choice([60, 7200])
    if draw.random() < 0.2 and "scheduler" not in grants:
        changes["scheduling"] = {"queueName": "q"}
    if draw.random() < 0.2:
        changes["warmStart"] = [draw.choice([f"s3://runs/{team}/s", "s3://elsewhere/s"])]
    if draw.random() < 0.2:
        changes["objectives"] = [{"entryPoint": "mine:score", "goal": "Minimize"}]
    if draw.random() < 0.4:
        path = draw.choice(
            [
                "data.train.sources[0].uri",
                "data[train].sources[0].uri",
                "spec.data.train.sources[0].uri",
                ".data.train.sources[0].uri",
                "data.train.sources",
                "data.validation.fraction",
                "training.optimizer.type",
                "evaluation.samples.prompts",
            ]
        )
        changes["parameters"] = [{"path": path, "type": "Choice", "values": ["a", "b"]}]
    return grants, of_team(team, name, **changes)


def test_policies_and_operator_refuse_the_same_sweeps(admin: Connection, team: str) -> None:
    draw = random.Random(1)
    cases = [(f"sweeping-{number}", *drawn(draw, team, f"sweeping-{number}")) for number in range(120)]
    for name, grants, _ in cases:
        put_runtime(admin, name, **grants)
    put_runtime(admin, "canary", allowedNamespaces=[])
    until("the policies to see the runtimes", 20, lambda: submitted(admin, of_team(team, "canary")))
    verdicts = set()
    for name, grants, document in cases:
        try:
            read = parse_kind(Sweep, document)
        except ValidationError:
            assert submitted(admin, document) is not None, document
            continue
        typed = parse_runtime(runtime(**grants) | {"metadata": {"name": name}})
        ours = refusals(read, typed, team, len(travelling(document).encode()))
        theirs = submitted(admin, document)
        assert bool(ours) == (theirs is not None), (document, grants, ours, theirs)
        verdicts.add(bool(ours))
    assert verdicts == {True, False}


def test_a_runner_writes_its_own_fields_of_a_sweep_and_only_from_its_head_pod(
    api: ApiServer, admin: Connection, team: str
) -> None:
    install_runner(admin, team)
    put_runtime(admin, "default", allowedNamespaces=["*"])
    until("the policies to see the runtime", 20, lambda: submitted(admin, of_team(team)) is None)
    admin.create(SWEEPS, team, of_team(team))
    token, uid = bound_token(admin, team, "head")
    other, _ = bound_token(admin, team, "worker")
    states = dict.fromkeys(("waiting", "completed", "stopped", "failed"), 0)
    progress = states | {"time": "2026-01-31T12:00:00Z", "attempt": 1, "rayJob": "rates-s1", "firstStep": 1}
    progress |= {"step": 5, "trials": 2, "running": 2, "said": "0 of 4"}
    best = {"trial": 1, "values": {RATE: 1e-3, "training.optimizer.type": "AdamW"}}
    progress |= {"best": best | {"metrics": [{"name": "loss", "value": 1.5, "step": 5}]}}

    def write(connection: Connection, manager: str, **status: Any) -> ApiError | None:
        body = {"apiVersion": SWEEPS.api_version, "kind": SWEEPS.kind, "status": status}
        body["metadata"] = {"name": "rates", "namespace": team}
        try:
            connection.apply(SWEEPS, team, "rates", body, manager=manager, subresource="status")
        except ApiError as error:
            return error
        return None

    head = api.with_token(token)
    early = write(head, DRIVER_MANAGER, progress=progress)
    assert early is not None
    assert "only the head pod that status.driver names" in early.what
    driver = {"podName": "head", "podUid": uid, "nodeName": "node-1"}
    assert write(admin, OPERATOR_MANAGER, driver=driver, attemptCount=1) is None
    assert write(head, DRIVER_MANAGER, progress=progress) is None
    refused = write(api.with_token(other), DRIVER_MANAGER, progress=progress)
    assert refused is not None
    assert refused.status == 403
    for status in ({"attemptCount": 2}, {"endedWith": "x"}, {"completionTime": "2026-01-31T12:00:00Z"}):
        error = write(head, DRIVER_MANAGER, progress=progress, **status)
        assert error is not None, status
        assert "a runner may write preparation, progress and outcome" in error.what
    told = admin.get(SWEEPS, team, "rates")["status"]["progress"]
    assert told["best"]["values"] == best["values"]


def a_cluster(team: str, name: str, labels: Object) -> Object:
    """A RayCluster as KubeRay makes one for a sweep with two groups of workers."""
    pods = {"spec": {"containers": [{"name": "ray", "image": "registry.example.org/ray:2"}]}}
    group = {"replicas": 1, "minReplicas": 1, "maxReplicas": 4, "rayStartParams": {}, "template": pods}
    return {
        "apiVersion": RAY_CLUSTERS.api_version,
        "kind": "RayCluster",
        "metadata": {"name": name, "namespace": team, "labels": labels},
        "spec": {
            "rayVersion": "2.60.0",
            "headGroupSpec": {"rayStartParams": {}, "template": pods},
            "workerGroupSpecs": [group | {"groupName": GROUP_NAME}, group | {"groupName": "others"}],
        },
    }


def test_the_operator_scales_clusters_of_sweeps_and_changes_nothing_else_of_any(
    api: ApiServer, admin: Connection, team: str
) -> None:
    of_sweep = {JOB_LABEL: "rates", KIND_LABEL: "Sweep"}
    admin.create(RAY_CLUSTERS, team, a_cluster(team, "rates-s1-x", of_sweep))
    admin.create(RAY_CLUSTERS, team, a_cluster(team, "mine", {JOB_LABEL: "rates"}))
    operator = api.with_token(token_of(admin, "raygen-system", "raygen-operator"))

    def why_not(name: str, *operations: Object) -> str:
        try:
            operator.change(RAY_CLUSTERS, team, name, operations, manager=OPERATOR_MANAGER)
        except ApiError as error:
            return error.what
        return ""

    spec, first = "/spec", "/spec/workerGroupSpecs/0"

    def replaced(path: str, value: object) -> Object:
        return {"op": "add", "path": path, "value": value}

    more = replaced(f"{first}/replicas", 2)
    until("the policy to hold", 30, lambda: "of sweeps alone" in why_not("mine", more))
    assert why_not("rates-s1-x", more) == ""
    fewer = replaced(f"{first}/replicas", 1)
    named = replaced(f"{first}/scaleStrategy", {"workersToDelete": ["rates-worker-a"]})
    assert why_not("rates-s1-x", fewer, named) == ""
    assert why_not("rates-s1-x", more, replaced(f"{first}/scaleStrategy", {"workersToDelete": []})) == ""
    image = "template/spec/containers/0/image"
    for harm in (
        replaced(f"{first}/{image}", "registry.example.org/other:1"),
        replaced(f"{spec}/headGroupSpec/{image}", "registry.example.org/other:1"),
        replaced(f"{first}/maxReplicas", 9),
        replaced(f"{first}/groupName", "renamed"),
        replaced(
            f"{spec}/workerGroupSpecs/-",
            a_cluster(team, "x", {})["spec"]["workerGroupSpecs"][0] | {"groupName": "new"},
        ),
        replaced(f"{spec}/suspend", True),
        {"op": "remove", "path": f"{spec}/workerGroupSpecs/1"},
        {"op": "remove", "path": f"{first}/template/spec/containers/0/image"},
    ):
        assert "replicas and scaleStrategy" in why_not("rates-s1-x", harm), harm
    for harm in (
        replaced("/metadata/labels/owner", "me"),
        replaced("/metadata/annotations", {"a": "b"}),
    ):
        assert "metadata: the operator may not change it" in why_not("rates-s1-x", harm), harm
    group = admin.get(RAY_CLUSTERS, team, "rates-s1-x")["spec"]["workerGroupSpecs"][0]
    assert (group["replicas"], group["scaleStrategy"]) == (2, {"workersToDelete": []})
