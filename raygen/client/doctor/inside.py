"""raygen's own parts in a cluster: the operator, what it may do, and the admission policies."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from raygen.client.doctor.finding import Finding
from raygen.client.doctor.view import Object, View
from raygen.kube import LEASES, PODS, Resource
from raygen.kube.text import scrubbed

DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
POLICIES = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "validatingadmissionpolicies",
    "ValidatingAdmissionPolicy",
    namespaced=False,
)
BINDINGS = Resource(
    POLICIES.group,
    "v1",
    "validatingadmissionpolicybindings",
    "ValidatingAdmissionPolicyBinding",
    namespaced=False,
)
OPERATOR = "raygen-operator"
POLICY_NAMES = (
    "raygen-runtime-use",
    "raygen-runtime-limits",
    "raygen-reserved-names",
    "raygen-runner-status",
)
INSTALL = "Install the chart: helm install raygen charts/raygen --namespace raygen-system --create-namespace --values values.yaml"
RIGHTS = (
    *(
        (verb, f"raygen.io/{kind}")
        for kind in ("trainingjobs", "sweeps")
        for verb in ("list", "watch", "delete")
    ),
    ("patch", "raygen.io/trainingjobs:status"),
    ("patch", "raygen.io/sweeps:status"),
    ("list", "raygen.io/raygenruntimes"),
    ("watch", "raygen.io/raygenruntimes"),
    ("list", "ray.io/rayjobs"),
    ("watch", "ray.io/rayjobs"),
    ("create", "ray.io/rayjobs"),
    ("delete", "ray.io/rayjobs"),
    ("patch", "ray.io/rayclusters"),
    ("list", "pods"),
    ("watch", "pods"),
    ("list", "events"),
    ("create", "events.k8s.io/events"),
)
"""What the operator cannot do without, in every namespace with jobs."""
EXCESS = (
    ("get", "secrets"),
    ("create", "pods:exec"),
    ("get", "pods:log"),
    ("create", "rbac.authorization.k8s.io/roles"),
)
"""What it must not be able to do."""
LEASE_SECONDS = 60.0
"""After which a Lease that nobody renewed shows that no operator works."""


def deployments(view: View, label: str) -> list[Object]:
    """The Deployments of a program, wherever they are."""
    return view.list(DEPLOYMENTS, selector=f"app.kubernetes.io/name={label}")


def deployment(view: View, check: str, label: str, remedy: str) -> Iterator[Finding]:
    """A program is deployed and one of its pods is ready; if not, why."""
    found = deployments(view, label)
    if not found:
        yield Finding(check, "fault", f"there is no Deployment of {label}", remedy)
    for one in found:
        name = f"{one['metadata']['namespace']}/{one['metadata']['name']}"
        status, wanted = one.get("status", {}), one["spec"].get("replicas", 1)
        ready = status.get("readyReplicas", 0)
        image = one["spec"]["template"]["spec"]["containers"][0]["image"]
        if ready >= wanted > 0:
            yield Finding(check, "ok", f"{name}: {ready} of {wanted} pods ready, {image}")
        elif ready:
            yield Finding(
                check, "warning", f"{name}: {ready} of {wanted} pods ready: {_why(view, one)}", _LOOK
            )
        elif wanted == 0:
            yield Finding(
                check,
                "fault",
                f"{name} is scaled to 0",
                f"kubectl --namespace {one['metadata']['namespace']} scale deployment {one['metadata']['name']} --replicas=1",
            )
        else:
            yield Finding(check, "fault", f"{name}: no pod is ready: {_why(view, one)}", _LOOK)


_LOOK = "Look at its pods' events: kubectl describe pods"


def _why(view: View, one: Object) -> str:
    """What keeps the pods of a Deployment from being ready."""
    labels = one["spec"]["selector"].get("matchLabels", {})
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    for pod in view.list(PODS, one["metadata"]["namespace"], selector=selector):
        for container in pod.get("status", {}).get("containerStatuses", ()):
            waiting = container.get("state", {}).get("waiting") or container.get("state", {}).get(
                "terminated"
            )
            if waiting:
                return scrubbed(f"{waiting.get('reason', '')} {waiting.get('message', '')}")
        for condition in pod.get("status", {}).get("conditions", ()):
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                return str(condition.get("message", "it has no node"))
    for condition in one.get("status", {}).get("conditions", ()):
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return str(condition.get("message", ""))
    return "its pods are not ready yet"


def operator(view: View) -> Iterator[Finding]:
    """The operator runs, and one of its pods works."""
    found = deployments(view, OPERATOR)
    yield from deployment(view, "operator", OPERATOR, INSTALL)
    if found and not _in_charge(view):
        covered = ", ".join(sorted({name for one in found for name in _arguments(one, "namespace")}))
        yield Finding(
            "operator",
            "fault",
            f"the operator looks after {covered} alone, not after {view.namespace}",
            "Add it to scope.namespaces of the chart's values, or run jobs in one of these.",
        )
    for one in _in_charge(view):
        place = one["metadata"]["namespace"]
        (name,) = _arguments(one, "lease-name")[-1:] or [OPERATOR]
        lease = view.ask(LEASES.path(place, name))
        renewed = (lease or {}).get("spec", {}).get("renewTime")
        age = (datetime.now(UTC) - datetime.fromisoformat(renewed)).total_seconds() if renewed else None
        if age is None or age > LEASE_SECONDS:
            said = "never" if age is None else f"for {age:.0f} s"
            yield Finding(
                "operator",
                "fault",
                f"no operator works: the Lease {place}/{name} was not renewed {said}",
                f"Read why: kubectl --namespace {place} logs deployment/{one['metadata']['name']}",
            )


def _in_charge(view: View) -> list[Object]:
    """The operators that look after the namespace; there may be others, of other releases."""
    return [
        one
        for one in deployments(view, OPERATOR)
        if view.namespace in (_arguments(one, "namespace") or [view.namespace])
    ]


def _arguments(one: Object, option: str) -> list[str]:
    """What an operator was started with."""
    words = one["spec"]["template"]["spec"]["containers"][0].get("args", ())
    return [word.partition("=")[2] for word in words if word.startswith(f"--{option}=")]


def accounts(view: View) -> list[str]:
    """The service accounts of operators that look after the namespace, as NAMESPACE:NAME."""
    return [
        f"{one['metadata']['namespace']}:{one['spec']['template']['spec'].get('serviceAccountName', 'default')}"
        for one in _in_charge(view)
    ]


def rights(view: View) -> Iterator[Finding]:
    """The operator may do what it has to, and nothing that is dangerous."""
    for account in accounts(view):
        missing = [
            f"{verb} {what.replace(':', '/')}"
            for verb, what in RIGHTS
            if not view.may(verb, what, view.namespace, account=account)
        ]
        if missing:
            said = f"{account} may not {', '.join(missing)} in {view.namespace}"
            yield Finding(
                "rights",
                "fault",
                said,
                "Install the roles of the chart, or of manifests/install/install.yaml, again.",
            )
        excess = [
            f"{verb} {what.replace(':', '/')}"
            for verb, what in EXCESS
            if view.may(verb, what, view.namespace, account=account)
        ]
        if excess:
            said = f"{account} may {', '.join(excess)} in {view.namespace}, which it has no use for"
            yield Finding(
                "rights",
                "warning",
                said,
                "Find the binding that grants it, and remove it: kubectl get rolebindings,clusterrolebindings -A -o wide",
            )
        if not missing and not excess:
            yield Finding("rights", "ok", f"{account} may do what it has to, and no more")


def admission(view: View) -> Iterator[Finding]:
    """The policies are there, in force, and know the operator."""
    remedy = "Install them: kubectl apply --server-side -f manifests/admission, or the chart with admission.enabled=true"
    if view.ask(f"/apis/{POLICIES.group}/v1") is None:
        yield Finding(
            "admission",
            "fault",
            "the cluster has no admission policies",
            "Upgrade Kubernetes to 1.30 or newer.",
        )
        return
    policies = {one["metadata"]["name"]: one for one in view.list(POLICIES)}
    missing = [name for name in POLICY_NAMES if name not in policies]
    if missing:
        said = (
            f"{', '.join(missing)} is missing: those who may create jobs have more than their runtime grants"
        )
        yield Finding("admission", "fault", said, remedy)
    denied = {
        one["spec"]["policyName"]
        for one in view.list(BINDINGS)
        if "Deny" in one["spec"].get("validationActions", ())
    }
    idle = [name for name in POLICY_NAMES if name in policies and name not in denied]
    if idle:
        yield Finding(
            "admission",
            "fault",
            f"{', '.join(idle)} is bound nowhere with Deny, so it denies nothing",
            remedy,
        )
    unknown = [
        account
        for account in accounts(view)
        if "raygen-runner-status" in policies
        and f"system:serviceaccount:{account}'" not in str(policies["raygen-runner-status"]["spec"])
    ]
    if unknown:
        yield Finding(
            "admission",
            "fault",
            f"the policy raygen-runner-status takes the operator {', '.join(unknown)} for a runner, which may write no conditions",
            "Name it in the chart's admission.otherOperators, or in that policy.",
        )
    warnings = [
        f"{name}: {warning['warning']}"
        for name, one in policies.items()
        if name in POLICY_NAMES
        for warning in one.get("status", {}).get("typeChecking", {}).get("expressionWarnings", ())
    ]
    if warnings:
        yield Finding(
            "admission",
            "warning",
            "; ".join(warnings)[:400],
            "Install definitions and policies of one version.",
        )
    if not missing and not idle and not unknown and not warnings:
        yield Finding("admission", "ok", "the policies are in force")
