"""KubeRay: its kinds, its version, whether it is at work, and the batch scheduler that it was set up with.

What of the last is read follows main.go of KubeRay 1.6.2 and its chart: the flags --batch-scheduler and
--enable-batch-scheduler (older: Volcano), or with --config the same in a file, which is a ConfigMap's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from raygen.client.doctor import inside
from raygen.client.doctor.finding import Finding
from raygen.client.doctor.view import Object, View
from raygen.kube import Resource
from raygen.spec.names import KUBERAY_NAMES

NAME = "kuberay"
OPERATOR = "kuberay-operator"
OLDEST = (1, 6)
"""Version of KubeRay that raygen needs."""
DEFINITIONS = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
INSTALL = (
    "helm install kuberay-operator kuberay/kuberay-operator --namespace kuberay-system --create-namespace"
)
APPLY_DEFINITIONS = (
    "its definitions too, which Helm leaves as they are: "
    "helm show crds kuberay/kuberay-operator | kubectl apply --server-side --force-conflicts -f -"
)

_TAG = re.compile(r":v?(\d+)[.](\d+)([.]\d+)?([-+@].*)?$")
_KEYS = {
    "batchScheduler": "batch-scheduler",
    "config": "config",
    "enableBatchScheduler": "enable-batch-scheduler",
    "watchNamespace": "watch-namespace",
}
"""Keys of a configuration file, and the flags that say the same."""
_TRUE = frozenset({"", "1", "t", "T", "true", "TRUE", "True"})
"""Values of a flag of Go's that switch it on; "" stands for the flag alone."""


def kuberay(view: View) -> Iterator[Finding]:
    """KubeRay is there, new enough, at work, and has the runtime's scheduler."""
    if view.ask("/apis/ray.io/v1") is None:
        yield Finding(NAME, "fault", "the cluster has no RayJobs", f"Install KubeRay 1.6 or newer: {INSTALL}")
        return
    definition = view.ask(DEFINITIONS.path(name="rayjobs.ray.io"))
    if definition is not None and not _knows_token(definition):
        yield Finding(
            NAME,
            "fault",
            "KubeRay is too old: its RayJobs lack rayClusterSpec.authOptions.enableK8sTokenAuth",
            f"Upgrade it to 1.6 or newer, {APPLY_DEFINITIONS}",
        )
    yield from inside.deployment(view, NAME, OPERATOR, f"Install it: {INSTALL}")
    there = inside.deployments(view, OPERATOR)
    for one in there:
        yield from _version(one)
    setups = [(one, setup(view, one)) for one in there]
    for one, how in setups:
        if how is None or not how.namespaces or view.namespace in how.namespaces:
            yield from _scheduler(view, one, how)
    elsewhere = [how.namespaces for _, how in setups if how is not None and how.namespaces]
    if setups and len(elsewhere) == len(setups) and not any(view.namespace in names for names in elsewhere):
        covered = ", ".join(sorted({name for names in elsewhere for name in names}))
        remedy = f"Add {view.namespace} to watchNamespace of its chart's values, or run jobs in one of these."
        said = (
            f"KubeRay looks after {covered} alone, not after {view.namespace}: its RayJobs would never start"
        )
        yield Finding(NAME, "fault", said, remedy)


def _knows_token(definition: Object) -> bool:
    versions: list[Object] = definition["spec"]["versions"]
    version: Object = next((one for one in versions if one["name"] == "v1"), {})
    place: Object = version.get("schema", {}).get("openAPIV3Schema", {})
    for key in ("spec", "rayClusterSpec", "authOptions"):
        place = place.get("properties", {}).get(key, {})
    return "enableK8sTokenAuth" in place.get("properties", {})


def _version(one: Object) -> Iterator[Finding]:
    """Definitions and operator are upgraded apart, so new definitions do not show a new operator."""
    found = _TAG.search(str(_container(one)["image"]).rpartition("/")[2])
    if found is None or (int(found[1]), int(found[2])) >= OLDEST:
        return
    yield Finding(
        NAME,
        "fault",
        f"{_name(one)} is KubeRay {found[1]}.{found[2]}{found[3] or ''}, and raygen needs 1.6 or newer",
        f"Upgrade it, {APPLY_DEFINITIONS}, and then {_upgrade(one)} --reset-then-reuse-values",
    )


def _scheduler(view: View, one: Object, found: Setup | None) -> Iterator[Finding]:
    """What places pods is what the runtime says."""
    spec = view.runtime()
    if spec is None or spec.shared_cluster is not None:
        return  # Pods of a shared cluster are placed before any job comes.
    named, runtime = spec.scheduler.type if spec.scheduler is not None else None, view.runtime_name
    wanted = KUBERAY_NAMES.get(named or "")
    if found is None:
        if wanted is not None:
            yield Finding(
                NAME,
                "unknown",
                f"the RaygenRuntime {runtime} has the scheduler {named}, and what {_name(one)} was set up for cannot be read",
                f"See that its batch scheduler is {wanted}: docs/scheduling.md",
            )
    elif wanted is None:
        yield from _foreign(view, one, named, found.scheduler)
    elif wanted == found.scheduler:
        yield Finding(NAME, "ok", f"{_name(one)} is set up for {named}, as the RaygenRuntime {runtime} wants")
    else:
        has = f"for {found.scheduler}" if found.scheduler else "for no batch scheduler"
        older = "--set batchScheduler.enabled=false " if found.scheduler else ""
        yield Finding(
            NAME,
            "fault",
            f"the RaygenRuntime {runtime} has the scheduler {named}, and {_name(one)} is set up {has}: jobs would be placed without it",
            f"{_upgrade(one)} --reuse-values {older}--set batchScheduler.name={wanted}"
            " (one KubeRay has one batch scheduler for all that it runs), or name another in the runtime: docs/scheduling.md",
        )


def _foreign(view: View, one: Object, named: str | None, found: str) -> Iterator[Finding]:
    """KubeRay may hand all pods to a scheduler of which the runtime says nothing."""
    own = next((key for key, value in KUBERAY_NAMES.items() if value == found), None)
    runtime = f"the RaygenRuntime {view.runtime_name}"
    has = f"has the scheduler {named}" if named is not None else "names no scheduler"
    said = f"{runtime} {has}, and {_name(one)} hands the pods of all its RayJobs to {found}"
    without = f"{_upgrade(one)} --reuse-values --set batchScheduler.enabled=false --set batchScheduler.name="
    remedy = f"Name {own} in {runtime}: docs/scheduling.md; or have KubeRay do without: {without}"
    if own == "KAI":
        yield Finding(NAME, "fault", f"{said}, which places none without a queue", remedy)
    elif found and named != "Kueue":
        remedy = remedy if own else f"Have KubeRay do without: {without}"
        yield Finding(NAME, "warning", f"{said}, whose queues and priorities no job can name", remedy)


@dataclass(frozen=True)
class Setup:
    """What KubeRay was started with.

    Attributes:
        scheduler: Its batch scheduler in its own word, "" for none.
        namespaces: Those that it looks after; none for all.
    """

    scheduler: str
    namespaces: tuple[str, ...]


def setup(view: View, one: Object) -> Setup | None:
    """What a Deployment of KubeRay's was set up with; None where that cannot be read from it.

    Raises:
        HiddenError: It is in a ConfigMap that may not be seen.
    """
    container = _container(one)
    found = _flags([*container.get("command", ())[1:], *container.get("args", ())])
    if "config" in found:
        # Then the other flags are ignored.
        text = _file(view, one, container, found["config"])
        if text is None:
            return None
        found = _settings(text)
    if any("$(" in value for value in found.values()):
        return None
    older = found.get("enable-batch-scheduler", "false") in _TRUE
    return Setup(
        KUBERAY_NAMES["Volcano"] if older else found.get("batch-scheduler", ""),
        tuple(part.strip() for part in found.get("watch-namespace", "").split(",") if part.strip()),
    )


def _name(one: Object) -> str:
    return f"{one['metadata']['namespace']}/{one['metadata']['name']}"


def _upgrade(one: Object) -> str:
    """The command that changes the release, which its objects name."""
    metadata = one["metadata"]
    release = metadata.get("labels", {}).get("app.kubernetes.io/instance", OPERATOR)
    return f"helm upgrade {release} kuberay/kuberay-operator --namespace {metadata['namespace']}"


def _container(one: Object) -> Object:
    """KubeRay's among the containers of its pods: named as its chart does, or the first."""
    containers: list[Object] = one["spec"]["template"]["spec"]["containers"]
    return next((each for each in containers if each["name"] == OPERATOR), containers[0])


def _flags(words: list[str]) -> dict[str, str]:
    """The flags that matter here, as Go's package reads them: -name=value, --name value, or a switch alone."""
    found = {}
    for word, following in zip_longest(words, words[1:], fillvalue=""):
        name, given, value = word.lstrip("-").partition("=")
        if word.startswith("-") and name in _KEYS.values():
            found[name] = value if given or name == "enable-batch-scheduler" else following
    return found


def _settings(text: str) -> dict[str, str]:
    """The same from a configuration file: JSON, or YAML whose keys stand at the beginning of lines."""
    try:
        read = json.loads(text)
    except ValueError:
        read = dict(re.findall(r"""^(\w+): *["']?([-\w,]*)""", text, re.MULTILINE))
    return {flag: str(read[key]) for key, flag in _KEYS.items() if isinstance(read, dict) and key in read}


def _file(view: View, one: Object, container: Object, path: str) -> str | None:
    """A file of KubeRay's container, if it is a ConfigMap's."""
    folder, _, file = path.rpartition("/")
    volumes = {each["name"]: each for each in one["spec"]["template"]["spec"].get("volumes", ())}
    for mount in container.get("volumeMounts", ()):
        source = volumes.get(mount["name"], {}).get("configMap")
        if source and mount["mountPath"].rstrip("/") == folder:
            key = next((item["key"] for item in source.get("items", ()) if item["path"] == file), file)
            found = view.ask(CONFIG_MAPS.path(one["metadata"]["namespace"], source["name"])) or {}
            text: str | None = found.get("data", {}).get(key)
            return text
    return None
