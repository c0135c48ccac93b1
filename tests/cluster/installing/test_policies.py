"""What kube-score finds unwise in the objects of the chart is mended, or is as it is for a reason.

All of its checks are on. It knows Kubernetes' own kinds alone, so the pods of a RayCluster are shown to it as pods.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import yaml
from testcluster import tools

from raygen.spec.schema.base import Spec
from raygen.spec.schema.fields import fields_of
from tests.cluster.installing.helm import IMAGE, RUNTIME, TRAIN, render
from tools.chart_values import Values

Object = dict[str, Any]

OLDEST = "v1.30"
"""Of the Kubernetes that the chart takes."""
OPERATOR, JOB = "Deployment/raygen-operator", "Job/raygen-definitions"
RAY = ("Pod/shared-head", "Pod/shared-workers")
EVERY = (OPERATOR, JOB, *RAY)


class Finding(NamedTuple):
    """What kube-score says of an object, by its kind and name."""

    check: str
    said: str
    of: str


class Accepted(NamedTuple):
    """Findings that stay."""

    check: str
    said: str
    of: tuple[str, ...]
    why: str


ACCEPTED = (
    Accepted(
        "container-resources",
        "CPU limit is not set",
        EVERY,
        "A limit slows a container down while the node has processors to spare; the request is its share when it has none.",
    ),
    Accepted(
        "container-resource-requests-equal-limits",
        "CPU requests does not match limits",
        EVERY,
        "There is no limit, as above.",
    ),
    Accepted(
        "container-cpu-requests-equal-limits",
        "CPU requests does not match limits",
        EVERY,
        "There is no limit, as above.",
    ),
    Accepted(
        "container-resource-requests-equal-limits",
        "Memory requests does not match limits",
        (OPERATOR,),
        "The limit is for thousands of jobs; few clusters have them, and what is reserved nobody else can have.",
    ),
    Accepted(
        "container-memory-requests-equal-limits",
        "Memory requests does not match limits",
        (OPERATOR,),
        "The limit is for thousands of jobs, as above.",
    ),
    Accepted(
        "container-image-pull-policy",
        "ImagePullPolicy is not set to Always",
        EVERY,
        "Images are named by digest, so the one that a node has is the right one.",
    ),
    *(
        Accepted(
            "container-ephemeral-storage-request-and-limit",
            f"Ephemeral Storage {what} is not set",
            (OPERATOR, JOB),
            "The root is read-only and /tmp has a size; nodes that do not count ephemeral storage would refuse the pod.",
        )
        for what in ("limit", "request")
    ),
    *(
        Accepted(
            "container-ephemeral-storage-request-and-limit",
            f"Ephemeral Storage {what} is not set",
            RAY,
            "cluster.head.resources and cluster.workers.resources may have it; how much Ray spills is up to what runs there.",
        )
        for what in ("limit", "request")
    ),
    *(
        Accepted(
            "container-security-context-user-group-id",
            said,
            EVERY,
            "The number is the image's or one that the cluster assigns; nothing of the node is mounted that it could own.",
        )
        for said in (
            "The container is running with a low user ID",
            "The container running with a low group ID",
        )
    ),
    Accepted(
        "deployment-has-host-podantiaffinity",
        "Deployment does not have a host podAntiAffinity set",
        (OPERATOR,),
        "topologySpreadConstraints keep the pods apart.",
    ),
    Accepted(
        "pod-networkpolicy",
        "The pod does not have a matching NetworkPolicy",
        RAY,
        "Ray asks whoever connects for the cluster's token; what its jobs may reach is up to the namespace.",
    ),
)


def switched_on(model: type[Spec]) -> Object:
    """Every switch there is."""
    found: Object = {}
    for key, field in fields_of(model).items():
        if field.shape.model is not None and key != "spec":
            found |= {key: inner} if (inner := switched_on(field.shape.model)) else {}
        elif field.shape.kind == "truth":
            found[key] = True
    return found


def everything() -> Object:
    """All switches on, with what they need."""
    values = switched_on(Values) | {"image": IMAGE, "jobNamespaces": ["research"]}
    values["runtime"] |= {"spec": RUNTIME, "groups": ["researchers"]}
    values["cluster"] |= {"image": TRAIN, "namespace": "research"}
    return values


VARIANTS: dict[str, Object] = {
    "no value": {"image": IMAGE},
    "everything": everything(),
    "everything, in some namespaces": everything()
    | {"scope": {"type": "Namespaced", "namespaces": ["research", "other"]}},
}


def pods_of_ray(documents: list[Object]) -> Iterator[Object]:
    for one in documents:
        if one["kind"] != "RayCluster":
            continue
        groups = {"head": one["spec"]["headGroupSpec"]} | {
            group["groupName"]: group for group in one["spec"]["workerGroupSpecs"]
        }
        for name, group in groups.items():
            template = group["template"]
            metadata = template["metadata"] | {
                "name": f"{one['metadata']['name']}-{name}",
                "namespace": one["metadata"]["namespace"],
            }
            yield {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def scored(documents: list[Object]) -> set[Finding]:
    """What kube-score finds; it ends with 1 if that is anything."""
    command = [tools.binary("kube-score"), "score", "--all-default-optional", "--output-format=json"]
    done = subprocess.run(
        [*command, f"--kubernetes-version={OLDEST}", "-"],
        input=yaml.safe_dump_all([*documents, *pods_of_ray(documents)]),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    found = set()
    for one in json.loads(done.stdout):
        name = f"{one['type_meta']['kind']}/{one['object_meta']['name']}"
        for check in one["checks"]:
            # 10 is its best grade; 7, 5 and 1 are the others.
            if not check["skipped"] and check["grade"] < 10:
                said = check["comments"] or [{"summary": ""}]
                found |= {Finding(check["check"]["id"], comment["summary"], name) for comment in said}
    return found


@pytest.fixture(scope="module")
def findings() -> dict[str, set[Finding]]:
    return {name: scored(render(values)) for name, values in VARIANTS.items()}


@pytest.mark.parametrize("name", VARIANTS)
def test_nothing_is_found_that_is_not_as_it_is_for_a_reason(
    name: str, findings: dict[str, set[Finding]]
) -> None:
    accepted = {Finding(one.check, one.said, of) for one in ACCEPTED for of in one.of}
    assert findings[name] - accepted == set(), "fix it, or add it to ACCEPTED with the reason"


def test_what_is_accepted_is_found_and_has_a_reason(findings: dict[str, set[Finding]]) -> None:
    """What is mended is no longer accepted: it could come back unseen."""
    found = set().union(*findings.values())
    listed = [Finding(one.check, one.said, of) for one in ACCEPTED for of in one.of]
    assert [one for one in listed if one not in found] == []
    assert len(set(listed)) == len(listed)
    for one in ACCEPTED:
        assert len(one.why.split()) > 4
        assert one.why.endswith(".")
        assert "\n" not in one.why


def test_everything_has_all_that_can_be_switched_on() -> None:
    kinds = {one["kind"] for one in render(VARIANTS["everything"])}
    assert kinds >= {"RayCluster", "RaygenRuntime", "Job", "ServiceMonitor", "PodMonitor", "PrometheusRule"}
    assert kinds >= {
        "NetworkPolicy",
        "PodDisruptionBudget",
        "Service",
        "ConfigMap",
        "CustomResourceDefinition",
    }


def test_what_is_unwise_would_be_found() -> None:
    """Each of these was put into the operator's pod."""
    documents = render(VARIANTS["everything"])
    template = next(one for one in documents if one["kind"] == "Deployment")["spec"]["template"]
    (container,) = template["spec"]["containers"]
    container["image"] = "registry.example.org/raygen-operator:latest"
    container["securityContext"] = {"privileged": True}
    del (
        container["readinessProbe"],
        container["livenessProbe"],
        template["spec"]["securityContext"]["seccompProfile"],
    )
    documents = [one for one in documents if one["kind"] not in ("NetworkPolicy", "PodDisruptionBudget")]
    assert {one.check for one in scored(documents)} >= {
        "container-image-tag",
        "container-security-context-privileged",
        "container-security-context-readonlyrootfilesystem",
        "container-seccomp-profile",
        "deployment-has-poddisruptionbudget",
        "pod-networkpolicy",
        "pod-probes",
    }
