"""The admission policies before a real API server: runtimes, reserved names, and what a runner may write."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
import yaml

from raygen.kube import PODS, RUNTIMES, TRAINING_JOBS, ApiError, Connection
from raygen.kube.connection import MERGE
from raygen.kube.resources import Resource
from raygen.operator.rayjob.admission import refusals
from raygen.operator.rayjob.render import travelling
from raygen.spec import parse
from raygen.spec.names import DRIVER_MANAGER, OPERATOR_MANAGER
from raygen.spec.runtime import RaygenRuntime
from tests.cluster.api import until
from tests.cluster.apiserver import ROOT, ApiServer, apply
from tests.unit.operator.attempts.world import job, runtime

Object = dict[str, Any]

ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")


def install_roles(admin: Connection) -> None:
    for document in yaml.safe_load_all((ROOT / "manifests/install/install.yaml").read_text()):
        if document["kind"] in ("Namespace", "ServiceAccount") or "rbac" in document["apiVersion"]:
            apply(admin, document)


@pytest.fixture(scope="module", autouse=True)
def _roles(admin: Connection) -> None:
    install_roles(admin)


def put_runtime(admin: Connection, name: str, **changes: Any) -> None:
    document = runtime(**changes) | {"apiVersion": RUNTIMES.api_version, "kind": RUNTIMES.kind}
    document["metadata"] = {"name": name}
    admin.apply(RUNTIMES, "", name, document, manager="tests")


def of_team(team: str, runtime_name: str, **changes: Any) -> Object:
    output = {"uri": f"s3://runs/{team}/"}
    document = job(**{"output": output, "runtimeRef": {"name": runtime_name}, **changes})
    document["metadata"] = {"name": "tiny", "namespace": team}
    return document


def submitted(connection: Connection, document: Object) -> ApiError | None:
    """Why a job is refused, if it is."""
    try:
        path = TRAINING_JOBS.path(document["metadata"]["namespace"])
        connection.request("POST", path, query={"dryRun": "All"}, body=document)
    except ApiError as error:
        return error
    return None


def test_whoever_makes_a_job_must_hold_use_on_its_runtime(
    api: ApiServer, admin: Connection, team: str
) -> None:
    put_runtime(admin, "granted", allowedNamespaces=["*"])
    put_runtime(admin, "withheld", allowedNamespaces=["*"])
    ann = api.as_user("ann", "researchers")
    subjects = [{"kind": "Group", "name": "researchers", "apiGroup": "rbac.authorization.k8s.io"}]
    rules = [{"apiGroups": ["raygen.io"], "resources": ["trainingjobs"], "verbs": ["*"]}]
    uses = {"apiGroups": ["raygen.io"], "resources": ["raygenruntimes"], "verbs": ["use"]}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role"}
    metadata = {"name": "researchers", "namespace": team}
    apply(admin, role | {"metadata": metadata, "rules": rules})
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "researchers"}
    binding = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": metadata}
    apply(admin, binding | {"roleRef": reference, "subjects": subjects})
    error = until("her role", 10, lambda: submitted(ann, of_team(team, "granted")))
    assert "you may not use the RaygenRuntime granted" in error.what
    apply(admin, role | {"metadata": metadata, "rules": [*rules, {**uses, "resourceNames": ["granted"]}]})
    until("the verb use", 10, lambda: submitted(ann, of_team(team, "granted")) is None)
    refused = submitted(ann, of_team(team, "withheld"))
    assert refused is not None
    assert "you may not use the RaygenRuntime withheld" in refused.what
    # Nor by way of a change.
    ann.create(TRAINING_JOBS, team, of_team(team, "granted"))
    with pytest.raises(ApiError, match="you may not use the RaygenRuntime withheld"):
        ann.request(
            "PATCH",
            TRAINING_JOBS.path(team, "tiny"),
            body={"spec": {"runtimeRef": {"name": "withheld"}}},
            content_type="application/merge-patch+json",
        )


def test_policies_and_operator_refuse_the_same_jobs(admin: Connection, team: str) -> None:
    draw = random.Random(1)
    cases = [(f"drawn-{number}", *drawn(draw, team, f"drawn-{number}")) for number in range(150)]
    for name, grants, _ in cases:
        put_runtime(admin, name, **grants)
    # Admission sees runtimes a moment after they were made; the last one comes last there too.
    put_runtime(admin, "canary", allowedNamespaces=[])
    until("the policies to see the runtimes", 20, lambda: submitted(admin, of_team(team, "canary")))
    verdicts = set()
    for name, grants, document in cases:
        typed = RaygenRuntime.model_validate_json(_json(name, grants))
        size = len(travelling(document).encode())
        ours = refusals(parse({**document, "metadata": {"name": "tiny"}}), typed, team, size)
        theirs = submitted(admin, document)
        assert bool(ours) == (theirs is not None), (document, grants, ours, theirs)
        if theirs is not None:
            assert "spec" in theirs.what or "URI" in theirs.what
        verdicts.add(bool(ours))
    assert verdicts == {True, False}
    for name, _, _ in cases:
        admin.delete(RUNTIMES, "", name, uid=admin.get(RUNTIMES, "", name)["metadata"]["uid"])


def drawn(draw: random.Random, team: str, name: str) -> tuple[Object, Object]:
    """What a runtime grants, and a job that names it."""
    prefixes = ["s3://datasets", "s3://datasets/", "s3://runs/{namespace}/", "s3://runs", "s3://data"]
    grants: Object = {
        "allowedNamespaces": draw.choice([["*"], [team], [], ["other"], ["other", team]]),
        "storage": {"allowedUriPrefixes": draw.sample(prefixes, 3)},
        "ceilings": draw.choice([{}, {"workers": 2}, {"gpus": 8}, {"hours": 1}]),
    }
    changes: Object = {
        "scale": {"workers": draw.choice([1, 2, 4]), "gpusPerWorker": draw.choice([0, 4, 8])},
        "output": {"uri": draw.choice([f"s3://runs/{team}", f"s3://runs/{team}x/", "s3://runs", "runs"])},
    }
    if draw.random() < 0.5:
        changes["activeDeadlineSeconds"] = draw.choice([60, 7200])
    if draw.random() < 0.3:
        changes["scale"]["acceleratorType"] = draw.choice(["H100", "T4"])
        grants["nodeSelector"] = draw.choice([{"nvidia.com/gpu.product": "H100"}, {"pool": "gpu"}])
    if draw.random() < 0.3:
        changes["data__validation"] = {"sources": [{"uri": draw.choice(["s3://datasets/v", "s3://v"])}]}
    if draw.random() < 0.3:
        places = [f"s3://runs/{team}/p", f"s3://runs/{team}/p", "s3://elsewhere/p"]
        changes["preparation"] = {"uri": draw.choice(places)} | draw.choice(
            [{}, {"workers": 2}, {"workers": 3}]
        )
    grants |= draw.choice([{}, {}, {"sharedCluster": "shared"}])
    return grants, of_team(team, name, **changes, **draw.choice([{}, {"scheduling": {"queueName": "q"}}]))


def _json(name: str, grants: Object) -> str:
    return json.dumps(runtime(**grants) | {"metadata": {"name": name}})


@pytest.mark.parametrize(
    "where",
    [
        {"labels": {"raygen.io/job": "x"}},
        {"annotations": {"a.ray.io/b": "x"}},
        {"labels": {"kueue.x-k8s.io/queue-name": "q"}},
    ],
)
def test_reserved_names_are_refused(admin: Connection, team: str, where: Object) -> None:
    document = of_team(team, "default")
    document["metadata"] |= where
    error = submitted(admin, document)
    assert error is not None
    assert "is reserved. Remove it" in error.what
    document["metadata"] = {"name": "tiny", "namespace": team, "labels": {"team.io/x": "y", "app": "z"}}
    assert submitted(admin, document) is None


BINDINGS = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "validatingadmissionpolicybindings",
    "ValidatingAdmissionPolicyBinding",
    namespaced=False,
)


def test_a_job_that_was_labelled_before_the_policy_can_be_changed_elsewhere_and_deleted(
    admin: Connection, team: str
) -> None:
    put_runtime(admin, "default", allowedNamespaces=["*"])
    document = of_team(team, "default")
    document["metadata"] |= {"labels": {"ray.io/x": "y"}, "finalizers": ["team.io/hold"]}
    binding = admin.get(BINDINGS, "", "raygen-reserved-names")
    admin.delete(BINDINGS, "", "raygen-reserved-names", uid=binding["metadata"]["uid"])
    try:
        until("the policy to be gone", 20, lambda: submitted(admin, document) is None)
        made = admin.create(TRAINING_JOBS, team, document)
    finally:
        fresh = {"metadata": {"name": "raygen-reserved-names"}, "spec": binding["spec"]}
        fresh |= {"apiVersion": BINDINGS.api_version, "kind": BINDINGS.kind}
        admin.apply(BINDINGS, "", "raygen-reserved-names", fresh, manager="tests")
    other = document | {"metadata": document["metadata"] | {"name": "other"}}
    until("the policy", 20, lambda: submitted(admin, other) is not None)

    def change(body: Object) -> None:
        admin.request("PATCH", TRAINING_JOBS.path(team, "tiny"), body=body, content_type=MERGE)

    change({"spec": {"suspend": True}})
    with pytest.raises(ApiError, match="is reserved"):
        change({"metadata": {"labels": {"app": "z"}}})
    with pytest.raises(ApiError, match="is reserved"):
        change({"metadata": {"annotations": {"kueue.x-k8s.io/queue-name": "q"}}})
    admin.delete(TRAINING_JOBS, team, "tiny", uid=made["metadata"]["uid"])
    assert "deletionTimestamp" in admin.get(TRAINING_JOBS, team, "tiny")["metadata"]
    change({"metadata": {"finalizers": None}})
    with pytest.raises(ApiError) as caught:
        admin.get(TRAINING_JOBS, team, "tiny")
    assert caught.value.is_missing


def install_runner(admin: Connection, team: str, account: str = "raygen-runner") -> None:
    for document in yaml.safe_load_all((ROOT / "manifests/install/runner.yaml").read_text()):
        document["metadata"] |= {"name": account, "namespace": team}
        for subject in document.get("subjects", ()):
            subject |= {"name": account, "namespace": team}
        apply(admin, document)


def token_of(admin: Connection, namespace: str, account: str) -> str:
    """A token that is bound to no pod."""
    asked: Object = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    path = ACCOUNTS.path(namespace, account, "token")
    return str(admin.request("POST", path, body=asked)["status"]["token"])


def written(connection: Connection, team: str, manager: str, **status: Any) -> ApiError | None:
    """Why a status of the job is refused, if it is."""
    body = {"apiVersion": "raygen.io/v1alpha1", "kind": "TrainingJob", "status": status}
    body["metadata"] = {"name": "tiny", "namespace": team}
    try:
        connection.apply(TRAINING_JOBS, team, "tiny", body, manager=manager, subresource="status")
    except ApiError as error:
        return error
    return None


def bound_token(admin: Connection, team: str, pod: str) -> tuple[str, str]:
    """A token of the runner that is bound to a pod, and the pod's UID."""
    container = {"name": "ray", "image": "x"}
    spec = {"serviceAccountName": "raygen-runner", "containers": [container]}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": pod, "namespace": team}, "spec": spec}
    made = admin.create(PODS, team, body)
    reference = {"apiVersion": "v1", "kind": "Pod", "name": pod, "uid": made["metadata"]["uid"]}
    asked = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"boundObjectRef": reference},
    }
    path = ACCOUNTS.path(team, "raygen-runner", "token")
    return admin.request("POST", path, body=asked)["status"]["token"], made["metadata"]["uid"]


def test_a_runner_writes_its_own_fields_and_only_from_its_head_pod(
    api: ApiServer, admin: Connection, team: str
) -> None:
    install_runner(admin, team)
    put_runtime(admin, "default", allowedNamespaces=["*"])
    made = admin.create(TRAINING_JOBS, team, of_team(team, "default"))
    token, uid = bound_token(admin, team, "head")
    other, _ = bound_token(admin, team, "worker")
    head, worker = api.with_token(token), api.with_token(other)
    progress = {"time": "2026-01-31T12:00:00Z", "attempt": 1, "rayJob": "tiny-r1"}
    progress |= {"firstStep": 1, "step": 5, "steps": 10}

    def write(connection: Connection, **status: Any) -> ApiError | None:
        metadata = {"name": "tiny", "namespace": team, "uid": made["metadata"]["uid"]}
        body = {
            "apiVersion": "raygen.io/v1alpha1",
            "kind": "TrainingJob",
            "metadata": metadata,
            "status": status,
        }
        try:
            connection.apply(TRAINING_JOBS, team, "tiny", body, manager=DRIVER_MANAGER, subresource="status")
        except ApiError as error:
            return error
        return None

    early = write(head, progress=progress)
    assert early is not None
    assert "only the head pod that status.driver names" in early.what
    driver = {"podName": "head", "podUid": uid, "nodeName": "node-1"}
    condition = {"type": "Succeeded", "status": "Unknown", "reason": "Starting", "message": "x"}
    condition["lastTransitionTime"] = "2026-01-31T12:00:00Z"
    body = {
        "apiVersion": "raygen.io/v1alpha1",
        "kind": "TrainingJob",
        "metadata": {"name": "tiny", "namespace": team},
        "status": {"driver": driver, "conditions": [condition], "attemptCount": 1},
    }
    admin.apply(TRAINING_JOBS, team, "tiny", body, manager=OPERATOR_MANAGER, subresource="status")
    assert write(head, progress=progress) is None
    outcome = {"time": "2026-01-31T12:00:00Z", "rayJob": "tiny-r1", "state": "Succeeded"}
    outcome |= {"reason": "Completed", "message": "done", "exitCode": 0}
    preparation = {"time": progress["time"], "rayJob": progress["rayJob"], "doing": "cleaning"}
    preparation |= {"done": 1, "parts": 2, "said": "cleaning, 1 of 2"}
    assert write(head, preparation=preparation) is None
    assert write(head, progress=progress, outcome=outcome) is None
    refused = write(worker, progress=progress)
    assert refused is not None
    assert refused.status == 403
    for status in (
        {"conditions": [condition | {"status": "True"}]},
        {"attemptCount": 2},
        {"driver": driver | {"podUid": "x"}},
        {"completionTime": "2026-01-31T12:00:00Z"},
        {"prepared": {"uri": "s3://runs/x"}},
    ):
        error = write(head, progress=progress, **status)
        assert error is not None, status
        assert "a runner may write preparation, progress and outcome" in error.what
    for path, verb in ((TRAINING_JOBS.path(team, "tiny"), "PATCH"), (PODS.path(team), "GET")):
        with pytest.raises(ApiError) as caught:
            head.request(
                verb, path, body={} if verb == "PATCH" else None, content_type="application/merge-patch+json"
            )
        assert caught.value.status == 403
    told = admin.get(TRAINING_JOBS, team, "tiny")["status"]
    assert (told["progress"]["step"], told["outcome"]["reason"]) == (5, "Completed")
    assert told["conditions"][0]["status"] == "Unknown"


def test_a_runner_that_may_edit_its_namespace_is_a_runner_all_the_same(
    api: ApiServer, admin: Connection, team: str
) -> None:
    install_runner(admin, team)
    install_runner(admin, team, "runner-of-a-runtime")
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role"}
    metadata = {"name": "edit", "namespace": team}
    # What `edit` has, but for the controller that puts it together; to all accounts of the namespace.
    rules = [
        {"apiGroups": ["raygen.io"], "resources": ["trainingjobs"], "verbs": ["*"]},
        {"apiGroups": ["ray.io"], "resources": ["rayjobs"], "verbs": ["*"]},
    ]
    group = {"kind": "Group", "name": f"system:serviceaccounts:{team}"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "edit"}
    apply(admin, role | {"metadata": metadata, "rules": rules})
    subjects = [group | {"apiGroup": "rbac.authorization.k8s.io"}]
    apply(
        admin,
        {**role, "kind": "RoleBinding", "metadata": metadata, "roleRef": reference, "subjects": subjects},
    )
    put_runtime(admin, "default", allowedNamespaces=["*"])
    admin.create(TRAINING_JOBS, team, of_team(team, "default"))
    token, uid = bound_token(admin, team, "head")
    head = api.with_token(token)
    free = [api.with_token(token_of(admin, team, name)) for name in ("raygen-runner", "runner-of-a-runtime")]

    def labelled(connection: Connection) -> bool:
        body = {"metadata": {"labels": {"app": "x"}}}
        try:
            connection.request("PATCH", TRAINING_JOBS.path(team, "tiny"), body=body, content_type=MERGE)
        except ApiError:
            return False
        return True

    for one in (head, *free):
        until("the right to edit", 20, lambda one=one: labelled(one))
    driver = {"podName": "head", "podUid": uid, "nodeName": "node-1"}
    operator = api.with_token(token_of(admin, "raygen-system", "raygen-operator"))
    assert written(operator, team, OPERATOR_MANAGER, driver=driver, attemptCount=1) is None
    progress = {"time": "2026-01-31T12:00:00Z", "attempt": 1, "rayJob": "tiny-r1"}
    progress |= {"firstStep": 1, "step": 5, "steps": 10}
    assert written(head, team, DRIVER_MANAGER, progress=progress) is None
    error = written(head, team, DRIVER_MANAGER, progress=progress, attemptCount=2)
    assert error is not None
    assert "a runner may write preparation, progress and outcome" in error.what
    for one in free:
        error = written(one, team, DRIVER_MANAGER, progress=progress | {"step": 6})
        assert error is not None
        assert "only the head pod that status.driver names" in error.what
    told = admin.get(TRAINING_JOBS, team, "tiny")["status"]
    assert (told["progress"]["step"], told["attemptCount"]) == (5, 1)
