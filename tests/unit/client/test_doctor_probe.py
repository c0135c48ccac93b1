"""`raygen doctor --probe`: the pod that it makes, and what it says of each end that such a pod can have."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from raygen import __version__
from raygen.cli.main import main
from raygen.client.doctor import storage, trial
from raygen.client.doctor.pod import pod
from raygen.spec.runtime import parse_runtime
from raygen.storage.probe import KINDS
from tests.unit.client.kubelet import NAME, PLACED, URIS, Kubelet, ended, printed, tried, waits
from tests.unit.client.stub import TEAM, Cluster, serving
from tests.unit.operator.attempts.world import World, job, runtime

Object = dict[str, Any]
Doctor = Callable[..., tuple[int, list[Object]]]


@pytest.fixture
def kubelet(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Kubelet:
    monkeypatch.setattr(trial, "POLL_SECONDS", 0.005)
    monkeypatch.setattr(trial, "STUCK_SECONDS", 0.05)
    made = Kubelet(cluster)
    made.grant()
    return made


@pytest.fixture
def doctor(kubelet: Kubelet, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Gives the exit code and what is found; the pod is gone then."""

    def run(*options: str, made: int = 1) -> tuple[int, list[Object]]:
        with serving(kubelet.answer) as kubelet.cluster.url:
            words = ["doctor", "--probe", "--only=image", "--only=storage", "--json", *options]
            code = main([*words, "--kubeconfig", kubelet.cluster.kubeconfig(tmp_path)])
        said = capsys.readouterr().out
        assert "canary" not in said, "what else a pod prints may be a secret"
        assert (len(kubelet.made), kubelet.deleted) == (made, made)
        return code, json.loads(said)["findings"]

    return run


def test_the_pod_is_like_those_of_jobs() -> None:
    granted = {
        "storage": {
            "endpoint": "http://s3.example.org",
            "region": "a",
            "allowedUriPrefixes": ["s3://datasets/", "s3://runs/"],
        },
        "environment": {"NCCL_DEBUG": "INFO", "X": "$(AWS_SECRET_ACCESS_KEY)"},
        "environmentSecrets": ["storage"],
        "imagePullSecrets": ["registry"],
        "nodeSelector": {"pool": "gpu"},
        "tolerations": [{"key": "a"}, {"key": "b", "value": "c", "effect": "NoSchedule"}],
    }
    grants = runtime(**granted)
    made = World(job(), grants).look().create
    assert made is not None
    rendered = made["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["template"]["spec"]
    kind = {"apiVersion": "raygen.io/v1alpha1", "kind": "RaygenRuntime"}
    ours = pod(parse_runtime(kind | grants).spec, cpu="1", memory="1Gi", command=["raygen"])["spec"]
    for key in (
        "automountServiceAccountToken",
        "enableServiceLinks",
        "imagePullSecrets",
        "nodeSelector",
        "securityContext",
        "tolerations",
    ):
        assert ours[key] == rendered[key], key
    theirs, own = rendered["containers"][0], ours["containers"][0]
    for key in ("envFrom", "image", "securityContext"):
        assert own[key] == theirs[key], key
    assert [one for one in theirs["env"] if not one["name"].startswith("RAY_")] == own["env"]
    assert own["volumeMounts"][0] in theirs["volumeMounts"]
    assert ours["volumes"][0] in rendered["volumes"]
    assert {"name": "X", "value": "$$(AWS_SECRET_ACCESS_KEY)"} in own["env"]


def test_all_is_well(kubelet: Kubelet, doctor: Doctor) -> None:
    kubelet.life = [503, {"phase": "Pending"}, waits("ContainerCreating"), ended()]
    code, found = doctor("--timeout=20")
    assert code == 0
    assert [(one["check"], one["state"]) for one in found] == [("image", "ok"), *[("storage", "ok")] * 2]
    assert "the node node-1 had raygen.test/train@" in found[0]["said"]
    assert found[0]["said"].endswith("started it within 7 s")
    (made,) = kubelet.made
    assert made["metadata"]["generateName"] == "raygen-doctor-"
    assert made["metadata"]["labels"] == {"app.kubernetes.io/name": "raygen-doctor"}
    assert made["spec"]["activeDeadlineSeconds"] == 20
    assert made["spec"]["restartPolicy"] == "Never"
    assert made["spec"]["containers"][0]["command"] == ["raygen", "probe", "--json", *URIS]


def test_without_the_option_nothing_is_made_and_it_is_named(
    kubelet: Kubelet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(kubelet.answer) as kubelet.cluster.url:
        options = ["doctor", "--kubeconfig", kubelet.cluster.kubeconfig(tmp_path)]
        main(options)
        assert "`raygen doctor --probe`" in capsys.readouterr().out.splitlines()[-1]
        assert main([*options, "--only=image"]) == 2
    assert "Add --probe." in capsys.readouterr().err
    assert kubelet.made == []


PULL = 'rpc error: code = NotFound desc = failed to pull "registry.example.org/x": '
MISFITS: dict[str, tuple[list[Object | int], str, str, str, str]] = {
    "an image that is not there": (
        [waits("ErrImagePull", f"{PULL}not found")],
        "fault",
        "the registry has no such image. ErrImagePull: rpc error",
        "Push it, and write its name and digest",
        "",
    ),
    "a registry that wants a password": (
        [waits("ErrImagePull", "failed to authorize: 401 Unauthorized")],
        "fault",
        "the registry refuses the credentials, or asks for some",
        f"kubectl --namespace {TEAM} create secret docker-registry NAME",
        "",
    ),
    "another processor": (
        [waits("ImagePullBackOff", "Back-off: no match for platform in manifest: not found")],
        "fault",
        "not made for the processors of the nodes",
        "--platform linux/amd64",
        "",
    ),
    "another processor, seen when it runs": (
        [ended(255)],
        "fault",
        "not made for the processors of the nodes",
        "--platform linux/amd64",
        "exec /opt/raygen/bin/raygen: exec format error",
    ),
    "a name that is none": (
        [waits("InvalidImageName", "couldn't parse image reference")],
        "fault",
        "InvalidImageName: couldn't parse",
        "registry/name@sha256:digest",
        "",
    ),
    "a registry that is away, for long": (
        [waits("ErrImagePull", "dial tcp 10.0.0.1:443: i/o timeout"), waits("ImagePullBackOff", "Back-off")],
        "fault",
        "does not reach the registry",
        "firewall",
        "",
    ),
    "a secret that is missing": (
        [waits("CreateContainerConfigError", 'secret "storage" not found')],
        "fault",
        'secret "storage" not found',
        f"Make what it lacks in {TEAM}",
        "",
    ),
    "an image of something else": (
        [ended(128, reason="StartError", message='exec: "raygen": executable file not found in $PATH')],
        "fault",
        "the image has no raygen",
        "the target `train`",
        "",
    ),
    "an older raygen": (
        [ended(2)],
        "warning",
        "older than this one",
        "the target `train`",
        "raygen: error: argument VERB: invalid choice: 'probe' (choose from validate, plan)",
    ),
    "a program that fails": ([ended(1, reason="Error")], "fault", "ended with 1 Error", "target", "canary"),
    "no answer": ([ended()], "fault", "ended with 0 and no answer", "target", "canary {}\n[]\n{"),
    "too little memory": ([ended(137, reason="OOMKilled")], "unknown", "more than 512Mi", "again", ""),
    "an eviction": (
        [{"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}],
        "unknown",
        "Evicted The node was low",
        "again",
        "",
    ),
    "somebody who deletes it": ([404], "unknown", "somebody else has deleted it", "again", ""),
}


@pytest.mark.parametrize("case", MISFITS)
def test_what_keeps_the_pod_from_an_answer_is_said(kubelet: Kubelet, doctor: Doctor, case: str) -> None:
    kubelet.life, expected, said, remedy, kubelet.log = MISFITS[case]
    kubelet.events = ["Error", "Failed to pull image: dial tcp 10.0.0.1:443: i/o timeout"]
    code, (image, storages) = doctor("--timeout=20")
    assert (image["check"], image["state"]) == ("image", expected)
    assert said in image["said"]
    assert remedy in image["remedy"]
    assert (storages["check"], storages["state"]) == ("storage", "unknown")
    assert code == (0 if expected == "warning" else 1)


def test_secrets_to_pull_with_are_named(kubelet: Kubelet, doctor: Doctor) -> None:
    kubelet.grant(imagePullSecrets=["registry"])
    kubelet.life = [
        waits("ErrImagePull", "denied: https://me:canary@store.example.org/x?X-Amz-Signature=canary")
    ]
    _, (image, _) = doctor()
    assert f"Recreate registry in {TEAM}" in image["remedy"]


@pytest.mark.parametrize(
    ("status", "events", "expected", "said"),
    [
        (
            {"phase": "Pending", "unplaced": True, "conditions": [
                {"type": "PodScheduled", "status": "False", "message": "0/2 nodes are available"}
            ]},
            [],
            ("fault", "unknown"),
            "no node took the pod within 0.2 s: 0/2 nodes are available",
        ),
        ({"phase": "Pending", "unplaced": True}, [], ("fault", "unknown"), "no scheduler has looked at it"),
        (
            waits("ContainerCreating"),
            ["no network"],
            ("unknown", "unknown"),
            "had not started raygen.test/train@",
        ),
        ({"phase": "Running", "conditions": [PLACED]}, [], ("ok", "fault"), "the node node-1 had raygen.test"),
    ],
)  # fmt: skip
def test_what_takes_too_long_is_said(
    kubelet: Kubelet,
    doctor: Doctor,
    status: Object,
    events: list[str],
    expected: tuple[str, str],
    said: str,
) -> None:
    kubelet.life, kubelet.events = [status], events
    _, (image, storages) = doctor("--timeout=0.2")
    assert (image["state"], storages["state"]) == expected
    assert said in image["said"]
    assert kubelet.made[0]["spec"]["activeDeadlineSeconds"] == 1


@pytest.mark.parametrize(
    ("changes", "expected", "said"),
    [
        ({"raygen": "0.0.9"}, "warning", f"the image has raygen 0.0.9, and this is raygen {__version__}"),
        ({"ray": "2.61.0"}, "fault", "has Ray 2.61.0, and rayVersion of the RaygenRuntime default is 2.60.0"),
        ({"ray": None}, "fault", "the image has no Ray"),
    ],
)
def test_versions_are_compared(
    kubelet: Kubelet, doctor: Doctor, changes: Object, expected: str, said: str
) -> None:
    kubelet.log = printed(**changes)
    code, found = doctor()
    assert (found[1]["check"], found[1]["state"]) == ("image", expected)
    assert said in found[1]["said"]
    assert code == (1 if expected == "fault" else 0)


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("secrets", [[], ["storage"]])
def test_every_kind_of_fault_of_a_storage_has_a_remedy(
    kubelet: Kubelet, doctor: Doctor, kind: str, secrets: list[str]
) -> None:
    kubelet.grant(environmentSecrets=secrets)
    kubelet.log, kubelet.life = printed(tried(URIS[1], kind, readable=False)), [ended(1)]
    code, found = doctor()
    assert (code, found[0]["state"], found[1]["state"]) == (1, "ok", "fault")
    assert found[1]["said"] == f"{URIS[1]}: cannot be listed: x (tried by a pod of {TEAM})"
    assert (found[1]["remedy"] == "its own") == (kind == "other")
    assert "{" not in found[1]["remedy"]
    if kind in ("refused", "missing", "expired"):
        assert ("the Secret storage of team" if secrets else "environmentSecrets") in found[1]["remedy"]


def test_the_kinds_are_those_of_the_storage() -> None:
    assert storage.REMEDIES.keys() == KINDS - {"other"}


def test_what_may_only_be_read_is_enough_for_data(kubelet: Kubelet, doctor: Doctor) -> None:
    denied = tried(URIS[0], "denied")
    kubelet.log = printed(denied, tried(URIS[1]))
    code, found = doctor()
    assert (code, found[1]["state"], found[2]["state"]) == (0, "warning", "ok")
    assert "enough for data, and not for output" in found[1]["said"]
    kubelet.made.clear()
    kubelet.deleted = 0
    kubelet.log = printed(denied)
    code, found = doctor()
    assert (code, found[1]["state"]) == (1, "fault"), "no job has a place for its output"


@pytest.mark.parametrize("right", ["create pods", "get pods", "get pods/log", "delete pods"])
def test_whoever_may_not_is_told_and_nothing_is_made(kubelet: Kubelet, doctor: Doctor, right: str) -> None:
    kubelet.denied = {right}
    code, found = doctor(made=0)
    assert code == 1
    assert [one["state"] for one in found] == ["unknown", "unknown"]
    assert found[0]["said"] == f"you may not {right} in {TEAM}, so it was not tried"


def test_a_pod_that_is_not_let_in_is_said(kubelet: Kubelet, doctor: Doctor) -> None:
    kubelet.refusal = 'pods "raygen-doctor-x" is forbidden: exceeded quota: small'
    _, found = doctor(made=0)
    assert [one["state"] for one in found] == ["unknown", "unknown"]
    assert "exceeded quota: small" in found[0]["said"]
    assert "quotas" in found[0]["remedy"]


def test_a_pod_that_stays_is_named(kubelet: Kubelet, doctor: Doctor) -> None:
    kubelet.keeps = True
    _, found = doctor()
    assert (found[-1]["state"], found[-1]["check"]) == ("warning", "image")
    assert f"kubectl --namespace {TEAM} delete pod {NAME}" in found[-1]["remedy"]


def test_a_key_that_is_pressed_leaves_no_pod(
    kubelet: Kubelet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def press(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(trial, "_followed", press)
    with serving(kubelet.answer) as kubelet.cluster.url:
        words = ["doctor", "--probe", "--only=image", "--kubeconfig", kubelet.cluster.kubeconfig(tmp_path)]
        assert main(words) == 130
    assert (len(kubelet.made), kubelet.deleted) == (1, 1)


def test_jobs_of_a_shared_cluster_have_no_pods_of_their_own(kubelet: Kubelet, doctor: Doctor) -> None:
    kubelet.grant(sharedCluster="team-cluster")
    _, found = doctor(made=0)
    assert [one["state"] for one in found] == ["unknown", "unknown"]
    assert "the RayCluster team-cluster" in found[0]["said"]


def test_a_runtime_that_lets_nobody_in_is_another_check_s_to_say(kubelet: Kubelet, doctor: Doctor) -> None:
    kubelet.grant(allowedNamespaces=["other"])
    assert doctor(made=0) == (1, [])
