"""The commands of the documents, run as they stand there, in their order, before a real API server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from testcluster import kuberay, tools

from raygen.client.jobs import submit
from raygen.errors import RaygenError
from raygen.jobfile import load, load_kind
from raygen.kube import RUNTIMES, SWEEPS, TRAINING_JOBS
from raygen.kube.connection import MERGE
from raygen.kube.resources import SECRETS, Resource
from raygen.spec.sweep.sweep import Sweep
from tests.cluster.api import until
from tests.cluster.apiserver import ROOT, ApiServer, started
from tests.cluster.operator.life import JOB, NAMESPACE, SAMPLE, Life
from tests.cluster.operator.terminal import Shell, Step, commands

Object = dict[str, Any]

INSTALL = ROOT / "manifests" / "install" / "README.md"
README = ROOT / "README.md"
GUIDE = ROOT / "docs" / "jobs-on-a-cluster.md"
GROUP = "researchers"
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
PLACEHOLDERS = {"REGISTRY/": "registry.example.org/", "@sha256:...": "@sha256:" + "0" * 64}
NEVER_RUN = {"kubectl drain", "kubectl wait"}
"""Named in a sentence, with nothing that could be run."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A cluster with KubeRay's definitions and nothing of raygen."""
    with started(tmp_path_factory.mktemp("recipes")) as server:
        yield server


@pytest.fixture(scope="module")
def shell(server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """An administrator's terminal."""
    shell = Shell(server.kubeconfig, tmp_path_factory.mktemp("shell"))
    bases = tools.module("kuberay", kuberay.MODULE) / "config/crd/bases"
    shell.run(f"kubectl apply --server-side -f {bases}", Step())
    return shell


@pytest.fixture(scope="module")
def installed(server: ApiServer, shell: Shell) -> dict[str, str]:
    """What the commands of manifests/install/README.md say, which install raygen."""
    admin = server.connection()

    def served() -> bool:
        found = shell.run("kubectl api-resources --api-group=raygen.io --no-headers", Step())
        return all(kind.plural in found for kind in (TRAINING_JOBS, RUNTIMES))

    def rolled_out() -> None:
        # The operator is ready once it sees its kinds.
        until("the definitions", 30, served)
        counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 2)
        generation = admin.get(DEPLOYMENTS, "raygen-system", "raygen-operator")["metadata"]["generation"]
        body = {"status": {"observedGeneration": generation, **counts}}
        path = DEPLOYMENTS.path("raygen-system", "raygen-operator", "status")
        admin.request("PATCH", path, body=body, content_type=MERGE)

    def admitting() -> bool:
        try:
            submit(admin, load(SAMPLE).job, NAMESPACE, dry_run=True)
        except RaygenError as error:
            if "failed to find resource referenced by paramKind" in str(error):
                # As the document says, for a while.
                return False
            raise
        return True

    document = [filled_in(one) for one in commands(INSTALL)]
    rollout = next(one for one in document if "rollout status" in one)
    steps = {
        rollout: Step(meanwhile=rolled_out, says="successfully rolled out"),
        "kubectl apply -f manifests/samples/gpt.yaml": Step(before=lambda: until("admission", 90, admitting)),
    }
    return shell.follow(document, steps)


@pytest.fixture(scope="module")
def member(
    server: ApiServer, shell: Shell, installed: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Shell:
    """The terminal of somebody in the group of manifests/install/users.yaml, with the rights from there and no others."""
    # What a controller, which is not here, makes `edit` of.
    for role in ("raygen-edit", "system:aggregate-to-edit", "system:aggregate-to-view"):
        shell.run(
            f"kubectl --namespace {NAMESPACE} create rolebinding {role.replace(':', '-')} "
            f"--clusterrole={role} --group={GROUP}",
            Step(),
        )
    made = Shell(server.kubeconfig_of("ann", GROUP), tmp_path_factory.mktemp("member"), shell)

    def allowed() -> bool:
        kinds = ("trainingjobs.raygen.io", "secrets", "pods")
        return all(made.may("get", kind, NAMESPACE) for kind in kinds)

    until("the member's roles", 20, allowed)
    return made


def filled_in(command: str) -> str:
    """A command with values where a document leaves them to the reader."""
    for placeholder, value in PLACEHOLDERS.items():
        command = command.replace(placeholder, value)
    return command


@pytest.fixture
def life(server: ApiServer, installed: dict[str, str]) -> Life:
    """The namespace without a job."""
    life = Life(server.connection())
    life.clear()
    return life


def test_what_the_installation_leaves(server: ApiServer, shell: Shell, installed: dict[str, str]) -> None:
    admin = server.connection()
    (container,) = admin.get(DEPLOYMENTS, "raygen-system", "raygen-operator")["spec"]["template"]["spec"][
        "containers"
    ]
    assert container["image"] == "registry.example.org/raygen-operator@sha256:" + "0" * 64
    assert admin.get(RUNTIMES, "", "default")["spec"]["environmentSecrets"] == ["storage"]
    assert set(admin.get(SECRETS, NAMESPACE, "storage")["data"]) == {
        "AWS_REGION",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
    }
    who = f"--as=ann --as-group=researchers --namespace={NAMESPACE}"
    asked = f"kubectl auth can-i use raygenruntimes.raygen.io/default {who}"
    assert shell.run(asked, Step()).split()[-1] == "yes"
    shell.run(asked.replace("=researchers", "=others"), Step(code=1, says="no"))
    assert any("trainingjob.raygen.io/gpt-tiny created" in said for said in installed.values())


def test_what_a_role_allows(server: ApiServer, shell: Shell, member: Shell, tmp_path: Path) -> None:
    """raygen-view reads jobs and their RayJobs, raygen-edit changes jobs too, and a member sees runtimes besides."""
    for role in ("raygen-view", "raygen-edit"):
        name, edits = f"{role}-only", role == "raygen-edit"
        bind = f"kubectl --namespace {NAMESPACE} create rolebinding {name} --clusterrole={role} --user={name}"
        shell.run(bind, Step())
        one = Shell(server.kubeconfig_of(name), tmp_path / name)
        until(role, 20, partial(one.may, "list", "trainingjobs.raygen.io", NAMESPACE))
        for verb in ("get", "list", "watch"):
            assert one.may(verb, "rayjobs.ray.io", NAMESPACE)
        assert one.may("patch", "trainingjobs.raygen.io", NAMESPACE) == edits
        assert not one.may("delete", "rayjobs.ray.io", NAMESPACE)
        assert not one.may("list", "raygenruntimes.raygen.io", NAMESPACE)
        assert not one.may("get", "secrets", NAMESPACE)
    for verb in ("get", "create"):
        assert member.may(verb, "pods/portforward", NAMESPACE)
    assert member.may("list", "raygenruntimes.raygen.io", NAMESPACE)
    assert not member.may("patch", "raygenruntimes.raygen.io", NAMESPACE)


def test_the_commands_of_the_readme(member: Shell, life: Life) -> None:
    document = commands(README, "On Kubernetes")
    name = f"{JOB} --namespace {NAMESPACE}"

    def anew() -> None:
        life.again()()
        life.token()

    steps = {
        "raygen submit manifests/samples/gpt.yaml": Step(says="submitted"),
        f"raygen wait {name}": Step(
            hears="The operator has not seen the job yet",
            meanwhile=lambda: (life.trains(), life.ends(well=True)),
            says=f"{NAMESPACE}/{JOB}: Completed",
        ),
        f"raygen get {name}": Step(says="Completed"),
        "raygen list --all-namespaces": Step(says=NAMESPACE, administrator=True),
        f"raygen dashboard {name}": Step(before=anew, until="http://127.0.0.1:"),
        f"raygen stop {name}": Step(says="stops with a checkpoint"),
        f"raygen delete {name}": Step(says="deleted"),
        "kubectl apply -f manifests/samples/gpt.yaml": Step(before=life.clear, says="created"),
        f"kubectl wait --for=condition=Succeeded --timeout=1h --namespace {NAMESPACE} trainingjob/{JOB}": Step(
            meanwhile=lambda: (life.trains(), life.ends(well=True)), says="condition met"
        ),
        "kubectl get trainingjobs --all-namespaces": Step(says="Completed", administrator=True),
        f"kubectl describe trainingjob {JOB} --namespace {NAMESPACE}": Step(says="Completed it is"),
        "kubectl raygen list --all-namespaces": Step(says="Completed", administrator=True),
        f"kubectl delete trainingjob {JOB} --namespace {NAMESPACE}": Step(says="deleted"),
    }
    member.follow(document, steps)
    assert not life.exists()


def test_the_recipes(member: Shell, life: Life) -> None:
    document = commands(GUIDE)
    said = member.follow(document, recipes(life, document))
    assert said["kubectl get rtj -o wide"].splitlines()[0].split()[1:] == columns()
    assert json.loads(said[f"raygen get {JOB} --json"])["metadata"]["name"] == JOB
    assert json.loads(said["raygen list --json"])["jobs"][0]["reason"] == "Completed"


def test_the_commands_for_sweeps(member: Shell, life: Life) -> None:
    at = f"gpt-rates --namespace {NAMESPACE}"

    def ends() -> None:
        told = {"type": "Succeeded", "status": "True", "reason": "BudgetUsedUp", "message": "It is."}
        told |= {"lastTransitionTime": "2026-01-31T12:00:00Z"}
        body = {"apiVersion": SWEEPS.api_version, "kind": SWEEPS.kind, "status": {"conditions": [told]}}
        body["metadata"] = {"name": "gpt-rates", "namespace": NAMESPACE}
        life.admin.apply(SWEEPS, NAMESPACE, "gpt-rates", body, manager="tests", subresource="status")

    def again() -> None:
        uid = life.admin.get(SWEEPS, NAMESPACE, "gpt-rates")["metadata"]["uid"]
        life.admin.delete(SWEEPS, NAMESPACE, "gpt-rates", uid=uid)
        submit(life.admin, load_kind(Sweep, ROOT / "manifests/samples/sweep.yaml").value, NAMESPACE)

    patch = 'kubectl patch rsw gpt-rates --namespace research --type=merge --patch=\'{"spec": {"budget": {"trials": 40}}}\''
    steps = {
        "kubectl apply -f manifests/samples/sweep.yaml": Step(says="gpt-rates created"),
        f"kubectl get rsw --namespace {NAMESPACE}": Step(says="gpt-rates"),
        f"raygen list --namespace {NAMESPACE}": Step(says="gpt-rates"),
        f"raygen get {at}": Step(says="The operator has not seen the job yet"),
        f"raygen wait {at}": Step(
            hears="The operator has not seen the job yet", meanwhile=ends, says="BudgetUsedUp"
        ),
        patch: Step(says="patched"),
        f"raygen stop {at}": Step(before=again, says="stops with a checkpoint"),
        f"raygen submit manifests/samples/sweep.yaml --namespace {NAMESPACE}": Step(says="submitted"),
        f"raygen top --namespace {NAMESPACE}": Step(says="no active jobs"),
        f"raygen delete {at}": Step(says="deleted"),
    }
    member.follow(commands(ROOT / "docs" / "sweeps.md", "On a cluster"), steps)


def columns() -> list[str]:
    """The columns that the guide explains, in its order."""
    found = re.findall(r"^\| `([A-Z]+)` \|", GUIDE.read_text(), re.MULTILINE)
    assert found[0] == "STATUS"
    return found


def recipes(life: Life, document: list[str]) -> dict[str, Step]:
    """What belongs to the commands of the guide."""
    wait = "kubectl wait --for="
    by_step, both = (one for one in document if "\n" in one)
    patch = 'kubectl patch rtj gpt-tiny --type=merge --patch=\'{"spec": {"suspend": %s}}\''
    get = "kubectl get rtj gpt-tiny --output=jsonpath="

    def again_unseen() -> None:
        life.clear()
        submit(life.admin, load(SAMPLE).job, NAMESPACE)

    make = "raygen submit manifests/samples/gpt.yaml"
    return {
        "kubectl config set-context --current --namespace=research": Step(says="modified"),
        "kubectl apply --dry-run=server -f manifests/samples/gpt.yaml": Step(says="created (server dry run)"),
        "kubectl apply -f manifests/samples/gpt.yaml": Step(says="gpt-tiny created"),
        f"{make} --dry-run": Step(says="would be accepted"),
        f"{make} --set attempts.limit=5": Step(says="submitted"),
        "kubectl get rtj": Step(before=life.trains, says="Training"),
        "kubectl get rtj --watch": Step(until="Training"),
        "kubectl describe rtj gpt-tiny": Step(says="Attempt 1 trains, from step 1."),
        "kubectl get rrt": Step(says="default"),
        "raygen list": Step(says="Training"),
        "raygen list --all-namespaces": Step(says="Training", administrator=True),
        "raygen get gpt-tiny": Step(says="120 of 2,000"),
        f"{wait}condition=Validated --timeout=1m rtj/gpt-tiny": Step(
            before=again_unseen, meanwhile=life.work, says="condition met"
        ),
        f"{wait}condition=Running --timeout=30m rtj/gpt-tiny": Step(
            meanwhile=life.trains, says="condition met"
        ),
        f"{wait}jsonpath='{{.status.progress.checkpoint}}'=250 --timeout=1h rtj/gpt-tiny": Step(
            meanwhile=lambda: life.trains(260), says="condition met"
        ),
        by_step: Step(before=lambda: life.trains(510)),
        f"{wait}condition=Succeeded --timeout=24h rtj/gpt-tiny": Step(
            meanwhile=lambda: life.ends(well=True), says="condition met"
        ),
        f"{wait}jsonpath='{{.status.completionTime}}' --timeout=24h rtj/gpt-tiny": Step(
            before=life.again(), meanwhile=lambda: life.ends(well=False), says="condition met"
        ),
        f"{wait}condition=Succeeded --timeout=0 rtj/gpt-tiny": Step(code=1),
        both: Step(before=life.again(), meanwhile=lambda: life.ends(well=True)),
        "raygen wait gpt-tiny --timeout 86400": Step(
            before=life.again(),
            hears="Training",
            meanwhile=lambda: life.ends(well=False),
            code=1,
            says="DataError",
        ),
        "raygen wait gpt-tiny --for Training --for Unschedulable": Step(
            before=lambda: (life.clear(), life.submit()),
            hears="Starting",
            meanwhile=life.trains,
            says=": Training",
        ),
        patch % "true": Step(says="patched"),
        f"{wait}condition=Suspended --timeout=5m rtj/gpt-tiny": Step(
            meanwhile=life.rests, says="condition met"
        ),
        patch % "false": Step(says="patched"),
        "raygen stop gpt-tiny": Step(before=lambda: life.trains(150, first=121), says="stops"),
        make: Step(before=life.rests, says="submitted"),
        "kubectl events --for=trainingjob/gpt-tiny": Step(
            before=lambda: life.trains(180, first=151), says="Attempt 3 was started"
        ),
        "kubectl get pods --selector=raygen.io/job=gpt-tiny --output=wide": Step(says="gpt-tiny-r3-head"),
        "kubectl describe pods --selector=raygen.io/job=gpt-tiny": Step(says="gpt-tiny-r3-worker"),
        "raygen dashboard gpt-tiny --port 8265": Step(before=life.token, until="http://127.0.0.1:8265"),
        "raygen get gpt-tiny --json": Step(before=lambda: life.ends(well=True)),
        "raygen wait gpt-tiny --timeout 60 --json": Step(says='"succeeded": true'),
        get + "'{.status.conditions[?(@.type==\"Succeeded\")].reason}'": Step(says="Completed"),
        get + "'{.status.outcome.exitCode}'": Step(says="0"),
        "kubectl delete rtj gpt-tiny": Step(says="deleted"),
        f"{wait}delete --timeout=2m rtj/gpt-tiny": Step(),
        "raygen delete gpt-tiny": Step(before=life.again(), says="deleted"),
    }


def test_the_exit_codes_that_the_guide_tells(member: Shell, life: Life) -> None:
    both = [one for one in commands(GUIDE) if "\n" in one][1]
    wait = f"raygen wait {JOB} --namespace {NAMESPACE}"
    member.run(wait, Step(code=2, says="there is no TrainingJob"))
    member.run(f"{wait} --timeout 1", Step(before=life.again(), code=1, says="did not get there"))
    member.run(wait, Step(hears="Training", meanwhile=life.clear, code=1))
    member.run(wait, Step(before=life.again(well=True)))
    life.again()()
    member.run(wait, Step(before=lambda: (life.world.edit(suspend=True), life.rests()), code=3))
    here = f"kubectl config set-context --current --namespace={NAMESPACE}\n"
    fails = Step(before=life.again(), meanwhile=lambda: life.ends(well=False))
    member.run(here + both + "[ $? != 0 ]", fails)


@pytest.mark.parametrize("path", [GUIDE, README, INSTALL], ids=lambda path: path.parent.name + path.name)
def test_a_command_in_a_sentence_is_one_that_is_run(path: Path) -> None:
    run = [one for document in (GUIDE, INSTALL) for one in commands(document)]
    run += commands(README, "On Kubernetes")
    text = re.sub(r"^ *```.*?^ *```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    named = re.findall(r"`(kubectl [^`]+)`", text)
    bare = [re.sub(r" --namespace \S+", "", one) for one in run]
    stray = [one for one in named if one not in NEVER_RUN and not any(c.startswith(one) for c in bare)]
    assert not stray
