"""What a job needs where it is to run: its runtime, its namespace, its user's rights, nodes, and pods that are let in."""

from __future__ import annotations

import json
from collections.abc import Iterator

from raygen.client.doctor.finding import Finding
from raygen.client.doctor.pod import pod
from raygen.client.doctor.view import Object, View
from raygen.errors import RaygenError
from raygen.kube import PODS, RUNTIMES, ApiError, Resource
from raygen.kube.resources import SECRETS
from raygen.spec.names import (
    CACHE_LIMIT_VARIABLE,
    DRIVER_RESOURCE,
    JOB_LABEL,
    RAY_CLUSTER_LABEL,
    RAY_NODE_TYPE,
)
from raygen.spec.runtime import RaygenRuntimeSpec, parse_runtime
from raygen.spec.schema.quantity import memory_bytes

NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
NODES = Resource("", "v1", "nodes", "Node", namespaced=False)
ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")


def runtime(view: View) -> Iterator[Finding]:
    """The runtime is there, can be read, and allows the namespace."""
    name, where = "runtime", view.runtime_name
    document = view.ask(RUNTIMES.path(name=where))
    if document is None:
        others = [one["metadata"]["name"] for one in view.list(RUNTIMES)]
        remedy = f"Name one of these in spec.runtimeRef.name: {', '.join(others)}. " if others else ""
        remedy += "Make it: edit manifests/samples/runtime.yaml, and kubectl apply -f it; or the chart's runtime.enabled."
        yield Finding(name, "fault", f"there is no RaygenRuntime {where}", remedy)
        return
    spec = view.runtime()
    if spec is None:
        yield Finding(
            name, "fault", f"the RaygenRuntime {where} cannot be read: {_fault(document)}", "Fix that field."
        )
        return
    yield from _cache(spec, where)
    if spec.allows_namespace(view.namespace):
        yield Finding(name, "ok", f"the RaygenRuntime {where} allows the namespace {view.namespace}")
    else:
        said = f"the RaygenRuntime {where} does not allow the namespace {view.namespace}"
        yield Finding(
            name, "fault", said, f"Add it to its allowedNamespaces: kubectl edit raygenruntime {where}"
        )


def _cache(spec: RaygenRuntimeSpec, where: str) -> Iterator[Finding]:
    """What would end every job with prepared data when it opens that."""
    limit = spec.environment.get(CACHE_LIMIT_VARIABLE)
    if not limit:
        return
    try:
        memory_bytes(limit)
    except ValueError as error:
        said = f"{CACHE_LIMIT_VARIABLE} in environment of the RaygenRuntime {where} is wrong: {error}"
        yield Finding("runtime", "fault", said, f"Correct it: kubectl edit raygenruntime {where}")


def _fault(document: Object) -> str:
    kept = {key: document[key] for key in ("apiVersion", "kind", "spec")} | {
        "metadata": {"name": document["metadata"]["name"]}
    }
    try:
        parse_runtime(kept)
    except RaygenError as error:
        return " ".join(str(error).split())[:300]
    return "its metadata is not text"


def namespace(view: View) -> Iterator[Finding]:
    """The namespace has what pods of jobs refer to."""
    name, place = "namespace", view.namespace
    if view.ask(NAMESPACES.path(name=place)) is None:
        yield Finding(
            name, "fault", f"there is no namespace {place}", f"Make it: kubectl create namespace {place}"
        )
        return
    spec = view.runtime()
    if spec is None:
        return
    runner = spec.service_account_name
    make = (
        f"Add {place} to jobNamespaces of the chart's values; where raygen came from manifests/install/install.yaml:"
        f" kubectl --namespace {place} apply -f manifests/install/runner.yaml"
    )
    found = list(_runner(view, runner, make)) if spec.shared_cluster is None else []
    for secret in (*spec.environment_secrets, *spec.image_pull_secrets):
        if view.ask(SECRETS.path(place, secret), names_alone=True) is None:
            said = f"{place} has no Secret {secret}, which the RaygenRuntime {view.runtime_name} names"
            pulls = secret in spec.image_pull_secrets
            how = (
                f"docker-registry {secret} --docker-server=..."
                if pulls
                else f"generic {secret} --from-literal=..."
            )
            remedy = f"Make it: kubectl --namespace {place} create secret {how}"
            found.append(Finding(name, "fault", said, remedy))
    yield from found or [
        Finding(
            name,
            "ok",
            f"{place} has the {'' if spec.shared_cluster else 'runner and the '}Secrets that the runtime names",
        )
    ]


def _runner(view: View, runner: str, make: str) -> Iterator[Finding]:
    place = view.namespace
    if view.ask(ACCOUNTS.path(place, runner)) is None:
        yield Finding(
            "namespace", "fault", f"{place} has no service account {runner}, which head pods need", make
        )
    elif not view.may("patch", "raygen.io/trainingjobs:status", place, account=f"{place}:{runner}"):
        said = f"the service account {runner} may not patch the status of jobs in {place}, so no progress will be seen"
        yield Finding("namespace", "warning", said, make)


def user(view: View) -> Iterator[Finding]:
    """The caller may create jobs and use the runtime."""
    missing = []
    if not view.may("create", "raygen.io/trainingjobs", view.namespace):
        missing.append(f"create trainingjobs in {view.namespace}")
    if not view.may("use", "raygen.io/raygenruntimes", view.namespace, name=view.runtime_name):
        missing.append(f"use the RaygenRuntime {view.runtime_name} in {view.namespace}")
    if missing:
        yield Finding(
            "user",
            "fault",
            f"you may not {' nor '.join(missing)}",
            "Ask an administrator for manifests/install/users.yaml.",
        )
    else:
        yield Finding("user", "ok", "you may make jobs and use the runtime")


def cluster(view: View) -> Iterator[Finding]:
    """The cluster that the runtime sends jobs to is there, and takes them."""
    spec = view.runtime()
    if spec is None or spec.shared_cluster is None:
        return
    name, place = spec.shared_cluster, view.namespace
    heads = view.list(PODS, place, selector=f"{RAY_CLUSTER_LABEL}={name},{RAY_NODE_TYPE}=head")
    if not heads:
        said = f"{place} has no RayCluster {name} with a head pod, to which the RaygenRuntime {view.runtime_name} sends jobs"
        remedy = "Make it, as by the chart's cluster.enabled and cluster.takesJobs, or name another runtime."
        yield Finding("cluster", "fault", said, remedy)
        return
    if not any(pod["metadata"].get("labels", {}).get(JOB_LABEL) == "" for pod in heads):
        said = f"the head pod of the RayCluster {name} does not say that it takes jobs"
        remedy = f'Set the chart\'s cluster.takesJobs and recreate the cluster, or give its head pods the label {JOB_LABEL}: "".'
        yield Finding("cluster", "fault", said, remedy)
    elif not any(DRIVER_RESOURCE in json.dumps(pod["spec"]["containers"]) for pod in heads):
        said = (
            f"the head of the RayCluster {name} has no places for drivers, so jobs wait there and never start"
        )
        remedy = (
            "Have the chart recreate the cluster, or give its head's rayStartParams"
            f' resources: \'"{{\\"{DRIVER_RESOURCE}\\": 2}}"\', for two jobs at once.'
        )
        yield Finding("cluster", "fault", said, remedy)
    elif not any(_is_ready(pod) for pod in heads):
        said = f"the head pod {heads[0]['metadata']['name']} of the RayCluster {name} is not ready"
        remedy = f"See why: kubectl --namespace {place} describe pod {heads[0]['metadata']['name']}"
        yield Finding("cluster", "fault", said, remedy)
    elif not view.may(
        "patch", "raygen.io/trainingjobs:status", place, account=f"{place}:{_account(heads[0])}"
    ):
        said = f"the service account {_account(heads[0])} of the RayCluster {name} may not patch the status of jobs in {place}, so no progress will be seen"
        remedy = "Set the chart's cluster.takesJobs, or bind that account to a Role that may patch trainingjobs/status of raygen.io."
        yield Finding("cluster", "fault", said, remedy)
    else:
        yield Finding("cluster", "ok", f"the RayCluster {name} in {place} takes jobs")


def _account(pod: Object) -> str:
    return str(pod["spec"].get("serviceAccountName", "default"))


def nodes(view: View) -> Iterator[Finding]:
    """There are nodes that pods of the runtime may go to, and their GPUs are offered."""
    spec = view.runtime()
    if spec is None or spec.shared_cluster is not None:
        return
    found = view.list(NODES)
    fit = [one for one in found if _selected(one, spec)]
    if not fit:
        wanted = ", ".join(f"{key}={value}" for key, value in spec.node_selector.items())
        yield Finding(
            "nodes",
            "fault",
            f"no node has {wanted}" if wanted else "this cluster has no nodes",
            f"Label nodes, or fix nodeSelector of the RaygenRuntime {view.runtime_name}.",
        )
        return
    able = [one for one in fit if _is_ready(one) and not _shut_out(one, spec)]
    if not able:
        reasons = sorted({_shut_out(one, spec) or "is not ready" for one in fit})
        said = f"no node takes pods: {len(fit)} fit, and each {' or '.join(reasons)}"
        yield Finding(
            "nodes",
            "fault",
            said,
            f"Fix the nodes, or add tolerations to the RaygenRuntime {view.runtime_name}.",
        )
        return
    gpu = spec.gpus.resource
    for name in spec.extended_resources:
        if not any(_offers(one, name) for one in able):
            said = f"no node that takes pods offers {name}, which extendedResources of the RaygenRuntime {view.runtime_name} asks for"
            yield Finding("nodes", "fault", said, "Install its device plugin, or take it out of the runtime.")
    offered = [one for one in able if _offers(one, gpu)]
    looks_like = [
        one for one in able if any("gpu" in key.lower() for key in one["metadata"].get("labels", {}))
    ]
    if offered:
        kinds = sorted(
            {one["metadata"].get("labels", {}).get(spec.gpus.label, "of no kind") for one in offered}
        )
        yield Finding(
            "nodes", "ok", f"{len(able)} nodes take pods, {len(offered)} with {gpu}: {', '.join(kinds)}"
        )
    elif shut := [one for one in fit if _offers(one, gpu) and _shut_out(one, spec)]:
        said = f"{len(able)} nodes take pods, none with {gpu}: {shut[0]['metadata']['name']}, which has, {_shut_out(shut[0], spec)}"
        remedy = f"Add it to tolerations of the RaygenRuntime {view.runtime_name}, or jobs with gpusPerWorker wait without end."
        yield Finding("nodes", "warning", said, remedy)
    elif looks_like:
        said = f"{looks_like[0]['metadata']['name']} has labels of a GPU, and no node offers {gpu}"
        yield Finding(
            "nodes",
            "warning",
            said,
            "Install the device plugin or the GPU operator; jobs with gpusPerWorker would wait without end.",
        )
    else:
        yield Finding("nodes", "ok", f"{len(able)} nodes take pods, none with {gpu}: jobs train on CPUs")


def _offers(node: Object, resource: str) -> bool:
    return int(node["status"].get("allocatable", {}).get(resource, "0")) > 0


def _selected(node: Object, spec: RaygenRuntimeSpec) -> bool:
    labels = node["metadata"].get("labels", {})
    return all(labels.get(key) == value for key, value in spec.node_selector.items())


def _is_ready(thing: Object) -> bool:
    conditions = thing.get("status", {}).get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _shut_out(node: Object, spec: RaygenRuntimeSpec) -> str:
    """The taint that keeps pods away; "" if none does."""
    for taint in node["spec"].get("taints", ()):
        tolerated = any(
            one.key == taint["key"]
            and one.value in (None, taint.get("value", ""))
            and one.effect in (None, taint["effect"])
            for one in spec.tolerations
        )
        if taint["effect"] != "PreferNoSchedule" and not tolerated:
            return f"has the taint {taint['key']}"
    return ""


def pods(view: View) -> Iterator[Finding]:
    """A pod such as a job's head would be let into the namespace: quotas, limits, Pod Security, other policies."""
    spec = view.runtime()
    if spec is None or spec.shared_cluster is not None or not spec.allows_namespace(view.namespace):
        return
    place = view.namespace
    try:
        view.connection.request("POST", PODS.path(place), query={"dryRun": "All"}, body=_head(spec))
    except ApiError as error:
        if error.status not in (400, 403, 422):
            raise
        remedy = "Have what refuses it changed: the namespace's ResourceQuota, LimitRange or policies."
        if error.remedy:
            yield Finding(
                "pods",
                "unknown",
                "you may not make pods, so it was not tried",
                "Have an administrator run this.",
            )
        else:
            yield Finding("pods", "fault", f"{place} lets no pod of a job in: {error.what}", remedy)
    else:
        yield Finding("pods", "ok", f"{place} lets pods of jobs in")


def _head(spec: RaygenRuntimeSpec) -> Object:
    """As much of a head pod as admission looks at."""
    body = pod(spec, cpu=spec.head.cpu, memory=spec.head.memory)
    body["spec"]["serviceAccountName"] = spec.service_account_name
    return body
