"""The chart renders what its values say, nothing that they do not, and refuses what cannot work."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from raygen.spec.kinds import definitions
from raygen.spec.names import DRIVER_RESOURCE
from raygen.spec.runtime import RaygenRuntimeSpec
from raygen.spec.schema.base import Spec
from raygen.spec.schema.fields import fields_of
from tests.cluster.apiserver import ROOT
from tests.cluster.installing.helm import CHART, IMAGE, KINDS, RUNTIME, TRAIN, HelmError, helm, render
from tests.cluster.installing.refused import REFUSED
from tools import chart
from tools.chart_values import Values

Object = dict[str, Any]

GROUPS = {"runtime": {"enabled": True, "spec": RUNTIME, "groups": ["researchers"]}}
SWITCHES: dict[str, tuple[Object, Object]] = {
    "scope": ({}, {"scope": {"type": "Namespaced", "namespaces": ["research", "other"]}}),
    "crds": ({}, {"crds": {"enabled": False}}),
    "admission": ({}, {"admission": {"enabled": False}}),
    "runtime": ({}, GROUPS),
    "cluster": ({}, {"cluster": {"enabled": True, "image": TRAIN}}),
    "pods": ({}, {"operator": {"replicas": 1}, "networkPolicy": {"enabled": False}}),
    "metrics": (
        {},
        {
            "metrics": {
                name: {"enabled": True}
                for name in ("serviceMonitor", "podMonitor", "prometheusRule", "grafanaDashboards")
            }
        },
    ),
}
"""Each part of the chart, as it is without a value and the other way."""
ONE = [tuple(int(place == on) for place in range(len(SWITCHES))) for on in range(len(SWITCHES))]
TWO = [tuple(map(sum, zip(*pair, strict=True))) for pair in itertools.combinations(ONE, 2)]
MATRIX = [(0,) * len(SWITCHES), *ONE, *TWO, (1,) * len(SWITCHES)]
"""Nothing, each one, each two, and everything."""


def values_of(choice: tuple[int, ...]) -> Object:
    found: Object = {"image": IMAGE, "jobNamespaces": ["research"]}
    for (one, other), way in zip(SWITCHES.values(), choice, strict=True):
        found |= other if way else one
    return found


def kinds_of(documents: list[Object]) -> Counter[str]:
    return Counter(one["kind"] for one in documents)


@pytest.mark.parametrize("choice", MATRIX, ids=lambda choice: "".join(map(str, choice)))
def test_every_combination_makes_objects_that_fit_together(choice: tuple[int, ...]) -> None:
    scope, crds, admission, runtime, cluster, pods, metrics = choice
    documents = render(values_of(choice))
    names = [(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in documents]
    assert len(set(names)) == len(names)
    kinds = kinds_of(documents)
    assert kinds["CustomResourceDefinition"] == (0 if crds else 3)
    assert (
        kinds["ValidatingAdmissionPolicy"]
        == kinds["ValidatingAdmissionPolicyBinding"]
        == (0 if admission else 5)
    )
    assert kinds["RaygenRuntime"] == runtime
    assert kinds["Job"] == runtime, "it waits for the kind of the runtime"
    assert kinds["RayCluster"] == cluster
    assert kinds["PodDisruptionBudget"] == kinds["NetworkPolicy"] == (0 if pods else 1)
    assert kinds["ServiceMonitor"] == kinds["PrometheusRule"] == metrics
    assert (kinds["ConfigMap"] > 0) == bool(metrics)
    rules = [rule for one in documents for rule in operator_rules(one)]
    assert {verb for rule in rules for verb in rule["verbs"]} <= {
        "get",
        "list",
        "watch",
        "create",
        "delete",
        "patch",
        "update",
    }
    resources = {name for rule in rules for name in rule["resources"]}
    assert resources.isdisjoint({"secrets", "pods/exec", "pods/log", "roles", "configmaps", "*"})
    everywhere = next(
        one
        for one in documents
        if one["kind"] == "ClusterRole" and one["metadata"]["name"] == "raygen-operator"
    )
    assert (len(everywhere["rules"]) == 1) == bool(scope), (
        "of one namespace alone it reads runtimes alone everywhere"
    )
    for pod in pods_of(documents):
        restricted(pod)


def operator_rules(one: Object) -> list[Object]:
    if one["kind"] not in ("Role", "ClusterRole") or not one["metadata"]["name"].startswith(
        "raygen-operator"
    ):
        return []
    rules: list[Object] = one["rules"]
    return rules


def pods_of(documents: list[Object]) -> list[Object]:
    found = [one["spec"]["template"]["spec"] for one in documents if one["kind"] in ("Deployment", "Job")]
    for one in documents:
        if one["kind"] == "RayCluster":
            groups = [one["spec"]["headGroupSpec"], *one["spec"]["workerGroupSpecs"]]
            found += [group["template"]["spec"] for group in groups]
    return found


def restricted(pod: Object) -> None:
    """Pod Security `restricted` lets it in, and its image is pinned."""
    security = pod["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert "@sha256:" in container["image"]
        own = container["securityContext"]
        assert own == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]
        assert container["resources"]["requests"]["cpu"]


SHARED: Object = {"enabled": True, "image": TRAIN, "namespace": "research", "takesJobs": True}
EVERYTHING: Object = {"image": IMAGE, "jobNamespaces": ["research"], "cluster": SHARED, **GROUPS}


def test_no_pod_has_a_fixed_user_unless_values_name_one() -> None:
    for pod in pods_of(render(EVERYTHING)):
        assert set(pod["securityContext"]) == {"runAsNonRoot", "seccompProfile"}
        for volume in pod.get("volumes", ()):
            assert volume.get("projected", {}).get("defaultMode", 0o444) == 0o444, "any user reads its token"
    given = {"runAs": {"user": 1000, "group": 0, "volumeGroup": 1_000_680_000}}
    wanted = {"runAsUser": 1000, "runAsGroup": 0, "fsGroup": 1_000_680_000}
    named = EVERYTHING | {"operator": given, "cluster": SHARED | given}
    pods = pods_of(render(named))
    assert len(pods) == 4, "the operator, the job that waits, head and workers"
    for pod in pods:
        assert wanted.items() <= pod["securityContext"].items()


def test_every_container_can_have_a_cpu_limit() -> None:
    limits: Object = {"resources": {"limits": {"cpu": "2"}}}
    cluster = SHARED | dict.fromkeys(("head", "workers", "autoscaler"), limits)
    documents = render(EVERYTHING | {"operator": limits, "cluster": cluster})
    (made,) = (one["spec"] for one in documents if one["kind"] == "RayCluster")
    found = [one["resources"] for pod in pods_of(documents) for one in pod["containers"]]
    for resources in [*found, made["autoscalerOptions"]["resources"]]:
        assert resources["limits"]["cpu"] == "2"
        assert resources["limits"]["memory"]


def test_install_yaml_is_what_the_chart_makes() -> None:
    assert (ROOT / "manifests/install/install.yaml").read_text() == chart.install(ROOT, Path(helm_path()))


def helm_path() -> str:
    from testcluster.tools import binary

    return str(binary("helm"))


def test_lint_has_nothing_to_say() -> None:
    said = helm(
        "lint",
        "--strict",
        str(CHART),
        "--set",
        f"image={IMAGE}",
        *(f"--kube-version={v}" for v in ("1.36.0",)),
    )
    assert "0 chart(s) failed" in said


def test_definitions_are_those_of_the_models() -> None:
    there = {
        one["metadata"]["name"]: one
        for one in render({"image": IMAGE})
        if one["kind"] == "CustomResourceDefinition"
    }
    for name, body in definitions().items():
        assert there[name]["spec"] == body["spec"]
        assert there[name]["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_the_default_values_are_those_of_the_models_and_of_the_schema() -> None:
    written = yaml.safe_load((CHART / "values.yaml").read_text())
    assert written == Values().model_dump(mode="json")
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())
    jsonschema.validate(written, schema)
    closed(schema)


def closed(schema: Object) -> None:
    """Every object of the schema refuses unknown keys."""
    for one in [schema, *schema["$defs"].values()]:
        assert one["additionalProperties"] is False


def test_every_value_changes_something() -> None:
    """A value that no template reads is a promise that nobody keeps."""
    texts = "".join(path.read_text() for path in (CHART / "templates").iterdir())
    unread = [path for path in leaves(Values, "") if path.split(".")[-1] not in texts]
    assert unread == []


def leaves(model: type[Spec], prefix: str) -> list[str]:
    found = []
    for key, field in fields_of(model).items():
        path = f"{prefix}{key}"
        whole = path == "runtime.spec"
        inner = field.shape.model
        found += leaves(inner, f"{path}.") if inner is not None and not whole else [path]
    return found


def test_operators_of_other_releases_may_write_statuses() -> None:
    other = "system:serviceaccount:team:team-operator"
    documents = render({"image": IMAGE, "admission": {"otherOperators": [other]}}, namespace="mine")
    policy = next(
        one
        for one in documents
        if one["metadata"]["name"] == "raygen-runner-status" and one["kind"].endswith("Policy")
    )
    (condition,) = policy["spec"]["matchConditions"]
    assert (
        f"!(request.userInfo.username in ['system:serviceaccount:mine:raygen-operator', '{other}'])"
        in condition["expression"]
    )


@pytest.mark.parametrize(
    ("endpoint", "port"),
    [("http://otel.obs:4318/x", 4318), ("https://otel.example.org", 443), ("http://otel", 80)],
)
def test_traces_go_where_it_is_said_and_may_get_there(endpoint: str, port: int) -> None:
    documents = render({"image": IMAGE, "operator": {"tracingEndpoint": endpoint}})
    (deployment,) = (one for one in documents if one["kind"] == "Deployment")
    environment = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": endpoint} in environment
    (policy,) = (one for one in documents if one["kind"] == "NetworkPolicy")
    assert {"ports": [{"port": port, "protocol": "TCP"}]} in policy["spec"]["egress"]


def test_a_cluster_takes_jobs_when_it_is_said_and_its_workers_get_no_token() -> None:
    memory = {"requests": {"memory": "7Gi"}, "limits": {"memory": "7Gi"}}
    cluster = {"enabled": True, "image": TRAIN, "namespace": "research", "maxJobs": 3}
    cluster["head"] = {"resources": memory}
    for takes_jobs in (False, True):
        documents = render(values_of((0,) * len(SWITCHES)) | {"cluster": cluster | {"takesJobs": takes_jobs}})
        (made,) = (one for one in documents if one["kind"] == "RayCluster")
        head = made["spec"]["headGroupSpec"]["template"]
        worker = made["spec"]["workerGroupSpecs"][0]["template"]
        assert ("raygen.io/job" in head["metadata"]["labels"]) == takes_jobs
        places = made["spec"]["headGroupSpec"]["rayStartParams"].get("resources")
        # As Ray's autoscaler reads it.
        assert (places and json.loads(places[1:-1].replace("\\", ""))) == (
            {DRIVER_RESOURCE: 3} if takes_jobs else None
        )
        # Jobs wait for a place for longer than Ray's 15 minutes.
        variables = {one["name"] for one in head["spec"]["containers"][0]["env"]}
        assert ("RAY_JOB_START_TIMEOUT_SECONDS" in variables) == takes_jobs
        # The token of Ray's autoscaler is in its own container alone.
        assert head["spec"]["automountServiceAccountToken"] is False
        assert "account" not in [one["name"] for one in head["spec"]["containers"][0]["volumeMounts"]]
        assert [one["name"] for one in made["spec"]["autoscalerOptions"]["volumeMounts"]] == ["account"]
        mounted = [volume["name"] for volume in head["spec"]["volumes"] if "projected" in volume]
        assert mounted == (["runner", "account"] if takes_jobs else ["account"])
        assert "raygen.io/job" not in worker["metadata"]["labels"]
        assert not any("projected" in volume for volume in worker["spec"]["volumes"])
        roles = [
            one["rules"]
            for one in documents
            if one["metadata"]["name"] == "shared-drivers" and "rules" in one
        ]
        statuses = ["trainingjobs/status", "sweeps/status"]
        allowed = [{"apiGroups": ["raygen.io"], "resources": statuses, "verbs": ["patch"]}]
        assert roles == ([allowed] if takes_jobs else [])


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_work_is_refused_with_what_to_do(case: str) -> None:
    values, said = REFUSED[case]
    with pytest.raises(HelmError) as caught:
        render({"image": IMAGE} | values)
    assert said in str(caught.value)
    assert "nil pointer" not in str(caught.value)


@pytest.mark.parametrize(
    ("kinds", "values", "said"),
    [
        (KINDS[1:], {}, "This cluster has no RayJobs. Install KubeRay 1.6 or newer first: helm install"),
        (
            KINDS[:1],
            {"serviceMonitor": {"enabled": True}},
            "This cluster has no ServiceMonitors: install the Prometheus operator first",
        ),
        (
            KINDS[:1],
            {"prometheusRule": {"enabled": True}},
            "This cluster has no PrometheusRules: install the Prometheus operator first",
        ),
    ],
    ids=["KubeRay", "ServiceMonitor", "PrometheusRule"],
)
def test_a_cluster_that_lacks_something_is_told_what(
    kinds: tuple[str, ...], values: Object, said: str
) -> None:
    with pytest.raises(HelmError) as caught:
        render({"image": IMAGE, "metrics": values}, kinds=kinds)
    assert said in str(caught.value)


def test_a_cluster_without_admission_policies_is_refused() -> None:
    with pytest.raises(HelmError, match=r"chart requires kubeVersion: >=1\.30\.0-0"):
        render({"image": IMAGE}, "--kube-version=1.29.0")


def test_releases_beside_each_other_have_a_lease_each() -> None:
    for release in ("raygen", "team"):
        documents = [
            one
            for one in yaml.safe_load_all(
                helm("template", release, str(CHART), f"--api-versions={KINDS[0]}", values={"image": IMAGE})
            )
            if one
        ]
        (deployment,) = (one for one in documents if one["kind"] == "Deployment")
        (role,) = (
            one
            for one in documents
            if one["metadata"]["name"] == f"{release}-operator-lease" and "rules" in one
        )
        arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
        assert f"--lease-name={release}-operator" in arguments
        assert role["rules"][1]["resourceNames"] == [f"{release}-operator"]


def test_names_of_digits_and_words_of_yaml_are_text() -> None:
    names = ["2024", "true", "1e3"]
    documents = render(
        {
            "image": IMAGE,
            "imagePullSecrets": ["0123"],
            "jobNamespaces": names,
            "scope": {"type": "Namespaced", "namespaces": names},
            "operator": {"placement": {"priorityClassName": "no"}},
            "runtime": {"enabled": True, "spec": RUNTIME | {"allowedNamespaces": ["*"]}, "groups": ["7"]},
            "cluster": {"enabled": True, "image": TRAIN, "namespace": "2024", "environmentSecrets": ["0x1"]},
        },
        namespace="123",
    )
    texts = {"name", "namespace", "priorityClassName", "image"}
    found = [value for document in documents for key, value in entries(document) if key in texts]
    assert len(found) > 100
    assert [value for value in found if not isinstance(value, str)] == []
    assert {one["metadata"].get("namespace") for one in documents} >= {*names, "123"}


def entries(part: Any) -> Iterator[tuple[str, Any]]:
    """All keys with what they have, but those of schemas."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key != "openAPIV3Schema":
                yield key, value
                yield from entries(value)
    elif isinstance(part, list):
        for one in part:
            yield from entries(one)


def test_the_checks_have_the_patterns_and_defaults_of_the_format() -> None:
    text = (CHART / "templates" / "_checks.tpl").read_text()
    image = fields_of(RaygenRuntimeSpec)["image"].shape.bounds["pattern"]
    assert f'regexMatch "{image}"' in text
    defaults = RaygenRuntimeSpec.model_construct()
    assert f'dig "head" "memory" "{defaults.head.memory}"' in text
    assert f'dig "defaults" "memoryPerWorker" "{defaults.defaults.memory_per_worker}"' in text
    assert f'sharedMemory | default "{defaults.shared_memory}"' in text
