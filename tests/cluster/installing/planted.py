"""Mistakes in an installation: how each is made and mended, and what `raygen doctor` must say of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from raygen.client.doctor.inside import BINDINGS as POLICY_BINDINGS
from raygen.client.doctor.inside import DEPLOYMENTS, POLICIES
from raygen.client.doctor.placing import ACCOUNTS, NODES
from raygen.kube import LEASES, PODS, RUNTIMES, Connection, Resource
from raygen.kube.connection import MERGE
from raygen.kube.resources import SECRETS
from tests.cluster.apiserver import CRDS
from tests.cluster.installing.helm import IMAGE

Object = dict[str, Any]

SYSTEM, TEAM = "raygen-system", "research"
QUOTAS = Resource("", "v1", "resourcequotas", "ResourceQuota")
ROLES = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role")
CLUSTER_ROLES = Resource(ROLES.group, "v1", "clusterroles", "ClusterRole", namespaced=False)
ROLE_BINDINGS = Resource(ROLES.group, "v1", "rolebindings", "RoleBinding")


def kuberay() -> Object:
    labels = {"app.kubernetes.io/name": "kuberay-operator"}
    container = {"name": "kuberay", "image": "registry.example.org/kuberay:v1.6.2"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "kuberay-operator", "labels": labels},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
    }


def later(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def change(
    admin: Connection, resource: Resource, namespace: str, name: str, body: Object, sub: str = ""
) -> None:
    admin.request("PATCH", resource.path(namespace, name, sub), body=body, content_type=MERGE)


def ready(admin: Connection, namespace: str, name: str, count: int) -> None:
    body = {"status": {"replicas": count, "readyReplicas": count}}
    change(admin, DEPLOYMENTS, namespace, name, body, "status")


@contextmanager
def changed(
    admin: Connection,
    resource: Resource,
    namespace: str,
    name: str,
    body: Object,
    back: Object,
    sub: str = "",
) -> Iterator[None]:
    change(admin, resource, namespace, name, body, sub)
    try:
        yield
    finally:
        change(admin, resource, namespace, name, back, sub)


@contextmanager
def without(admin: Connection, resource: Resource, namespace: str, name: str) -> Iterator[None]:
    kept = admin.get(resource, namespace, name)
    admin.delete(resource, namespace, name, uid=kept["metadata"]["uid"])
    try:
        yield
    finally:
        metadata = {key: kept["metadata"][key] for key in ("name", "labels") if key in kept["metadata"]}
        admin.create(
            resource,
            namespace,
            {key: value for key, value in kept.items() if key != "status"} | {"metadata": metadata},
        )


@contextmanager
def broken_image(admin: Connection) -> Iterator[None]:
    """The operator's image cannot be pulled."""
    ready(admin, SYSTEM, "raygen-operator", 0)
    selector = admin.get(DEPLOYMENTS, SYSTEM, "raygen-operator")["spec"]["selector"]["matchLabels"]
    spec = {"containers": [{"name": "operator", "image": IMAGE}]}
    made = admin.create(PODS, SYSTEM, {"metadata": {"name": "operator-1", "labels": selector}, "spec": spec})
    waiting = {"reason": "ImagePullBackOff", "message": "Back-off pulling image: unauthorized"}
    status = {
        "name": "operator",
        "image": IMAGE,
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "state": {"waiting": waiting},
    }
    change(admin, PODS, SYSTEM, "operator-1", {"status": {"containerStatuses": [status]}}, "status")
    try:
        yield
    finally:
        path = PODS.path(SYSTEM, "operator-1")
        admin.request(
            "DELETE", path, body={"gracePeriodSeconds": 0, "preconditions": {"uid": made["metadata"]["uid"]}}
        )
        ready(admin, SYSTEM, "raygen-operator", 2)


@contextmanager
def quota(admin: Connection) -> Iterator[None]:
    made = admin.create(
        QUOTAS, TEAM, {"metadata": {"name": "small"}, "spec": {"hard": {"requests.memory": "1Gi"}}}
    )
    status = {"hard": {"requests.memory": "1Gi"}, "used": {"requests.memory": "0"}}
    change(admin, QUOTAS, TEAM, "small", {"status": status}, "status")
    try:
        yield
    finally:
        admin.delete(QUOTAS, TEAM, "small", uid=made["metadata"]["uid"])


@contextmanager
def too_much(admin: Connection) -> Iterator[None]:
    """Somebody gave the operator the right to read secrets."""
    rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
    role = admin.create(ROLES, TEAM, {"metadata": {"name": "spy"}, "rules": rules})
    subject = {"kind": "ServiceAccount", "name": "raygen-operator", "namespace": SYSTEM}
    reference = {"apiGroup": ROLES.group, "kind": "Role", "name": "spy"}
    binding = admin.create(
        ROLE_BINDINGS, TEAM, {"metadata": {"name": "spy"}, "subjects": [subject], "roleRef": reference}
    )
    try:
        yield
    finally:
        admin.delete(ROLE_BINDINGS, TEAM, "spy", uid=binding["metadata"]["uid"])
        admin.delete(ROLES, TEAM, "spy", uid=role["metadata"]["uid"])


@contextmanager
def fewer_rights(admin: Connection) -> Iterator[None]:
    rules = admin.get(CLUSTER_ROLES, "", "raygen-operator")["rules"]
    less = [rule for rule in rules if "rayjobs" not in rule["resources"]]
    with changed(admin, CLUSTER_ROLES, "", "raygen-operator", {"rules": less}, {"rules": rules}):
        yield


@contextmanager
def other_account(admin: Connection) -> Iterator[None]:
    """The operator runs as an account that the policy does not know."""
    path = {"spec": {"template": {"spec": {"serviceAccountName": "own"}}}}
    back = {"spec": {"template": {"spec": {"serviceAccountName": "raygen-operator"}}}}
    with changed(admin, DEPLOYMENTS, SYSTEM, "raygen-operator", path, back):
        yield


@contextmanager
def older_definition(admin: Connection) -> Iterator[None]:
    versions = admin.get(CRDS, "", "trainingjobs.raygen.io")["spec"]["versions"]
    older = json.loads(json.dumps(versions))
    del older[0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["attempts"]
    rules = "x-kubernetes-validations"
    older[0]["schema"]["openAPIV3Schema"]["properties"]["spec"].pop(rules, None)
    with changed(
        admin,
        CRDS,
        "",
        "trainingjobs.raygen.io",
        {"spec": {"versions": older}},
        {"spec": {"versions": versions}},
    ):
        yield


Plant = Callable[[Connection], Any]
NODE = {"spec": {"taints": [{"key": "pool", "value": "gpu", "effect": "NoSchedule"}]}}
PLANTED: dict[str, tuple[Plant, str, str, str, str]] = {
    "KubeRay is scaled to nothing": (
        lambda admin: down(admin, "kuberay-system", "kuberay-operator"),
        "kuberay",
        "fault",
        "kuberay-system/kuberay-operator is scaled to 0",
        "--replicas=1",
    ),
    "KubeRay is not deployed": (
        lambda admin: without_deployment(admin),
        "kuberay",
        "fault",
        "there is no Deployment of kuberay-operator",
        "helm install kuberay-operator",
    ),
    "definitions of another version": (
        older_definition,
        "definitions",
        "warning",
        "of another version of raygen",
        "Use the same version everywhere",
    ),
    "a policy is missing": (
        lambda admin: without(admin, POLICIES, "", "raygen-runtime-use"),
        "admission",
        "fault",
        "raygen-runtime-use is missing",
        "admission.enabled=true",
    ),
    "a policy only warns": (
        lambda admin: changed(
            admin,
            POLICY_BINDINGS,
            "",
            "raygen-runner-status",
            {"spec": {"validationActions": ["Audit"]}},
            {"spec": {"validationActions": ["Deny"]}},
        ),
        "admission",
        "fault",
        "raygen-runner-status is bound nowhere with Deny",
        "kubectl apply",
    ),
    "the operator has another account": (
        other_account,
        "admission",
        "fault",
        "for a runner, which may write no conditions",
        "otherOperators",
    ),
    "the operator's image cannot be pulled": (
        broken_image,
        "operator",
        "fault",
        "ImagePullBackOff Back-off pulling image: unauthorized",
        "kubectl describe pods",
    ),
    "no operator has the Lease": (
        lambda admin: changed(
            admin,
            LEASES,
            SYSTEM,
            "raygen-operator",
            {"spec": {"renewTime": later(-300)}},
            {"spec": {"renewTime": later(3600)}},
        ),
        "operator",
        "fault",
        "no operator works",
        "logs deployment/raygen-operator",
    ),
    "the operator lacks rights": (
        fewer_rights,
        "rights",
        "fault",
        "may not list ray.io/rayjobs, watch ray.io/rayjobs, create ray.io/rayjobs",
        "Install the roles",
    ),
    "the operator may read secrets": (
        too_much,
        "rights",
        "warning",
        "may get secrets in research",
        "remove it",
    ),
    "there is no runtime": (
        lambda admin: without(admin, RUNTIMES, "", "default"),
        "runtime",
        "fault",
        "there is no RaygenRuntime default",
        "manifests/samples/runtime.yaml",
    ),
    "the runtime lets others in": (
        lambda admin: changed(
            admin,
            RUNTIMES,
            "",
            "default",
            {"spec": {"allowedNamespaces": ["other"]}},
            {"spec": {"allowedNamespaces": ["*"]}},
        ),
        "runtime",
        "fault",
        "does not allow the namespace research",
        "allowedNamespaces: kubectl edit raygenruntime default",
    ),
    "there is no runner": (
        lambda admin: without(admin, ACCOUNTS, TEAM, "raygen-runner"),
        "namespace",
        "fault",
        "has no service account raygen-runner",
        "manifests/install/runner.yaml",
    ),
    "the runner may write nothing": (
        lambda admin: without(admin, ROLE_BINDINGS, TEAM, "raygen-runner"),
        "namespace",
        "warning",
        "may not patch the status of jobs",
        "jobNamespaces",
    ),
    "a secret is missing": (
        lambda admin: without(admin, SECRETS, TEAM, "storage"),
        "namespace",
        "fault",
        "research has no Secret storage",
        "kubectl --namespace research create secret generic storage",
    ),
    "no node has the label": (
        lambda admin: changed(
            admin,
            RUNTIMES,
            "",
            "default",
            {"spec": {"nodeSelector": {"pool": "gpu"}}},
            {"spec": {"nodeSelector": None}},
        ),
        "nodes",
        "fault",
        "no node has pool=gpu",
        "Label nodes",
    ),
    "every node has a taint": (
        lambda admin: changed(admin, NODES, "", "node-1", NODE, {"spec": {"taints": None}}),
        "nodes",
        "fault",
        "has the taint pool",
        "add tolerations",
    ),
    "GPUs are not offered": (
        lambda admin: changed(
            admin,
            NODES,
            "",
            "node-1",
            {"metadata": {"labels": {"cloud.example.org/gpu": "h100"}}},
            {"metadata": {"labels": {"cloud.example.org/gpu": None}}},
        ),
        "nodes",
        "warning",
        "no node offers nvidia.com/gpu",
        "Install the device plugin",
    ),
    "a quota is too small": (quota, "pods", "fault", "exceeded quota: small", "ResourceQuota"),
}
"""Mistakes: how to make and fix one, and which check says what, and advises what."""


@contextmanager
def down(admin: Connection, namespace: str, name: str) -> Iterator[None]:
    ready(admin, namespace, name, 0)
    with changed(admin, DEPLOYMENTS, namespace, name, {"spec": {"replicas": 0}}, {"spec": {"replicas": 1}}):
        yield
    ready(admin, namespace, name, 1)


@contextmanager
def without_deployment(admin: Connection) -> Iterator[None]:
    with without(admin, DEPLOYMENTS, "kuberay-system", "kuberay-operator"):
        yield
    ready(admin, "kuberay-system", "kuberay-operator", 1)
