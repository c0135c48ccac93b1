"""Parts that a cluster has on request: Kueue, JobSet and Kubeflow Trainer, as their own manifests install them.

Each is one controller with webhooks, built from Go modules and put into an image like KubeRay. Its manifests come
from the module; here they only get the image, less to ask for, and a way to the other node when one is lost.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from testcluster import cluster, control, images, tools
from testcluster.console import ClusterError, step, wait_until
from testcluster.network import CONTROL
from testcluster.paths import MANIFESTS, STATE
from testcluster.tools import Tool

INSTALLED = STATE / "parts"
"""A file for each part that the running cluster has: what its program was built from."""
TRIALS = MANIFESTS / "parts"
"""An object for each part that its webhooks must let pass."""
RESOURCES = {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}}
CONFIGURATION = "controller_manager_config.yaml"

KUEUE_INTEGRATES = (
    "batch/job",
    "ray.io/rayjob",
    "ray.io/raycluster",
    "jobset.x-k8s.io/jobset",
    "trainer.kubeflow.org/trainjob",
)


@dataclass(frozen=True)
class Part:
    """A controller and where its manifests are.

    Attributes:
        name: What it is asked for by; also its folder under tools/ and images/, and its file in TRIALS.
        module: The Go module that has program and manifests.
        program: The name of its program.
        link: Flags of the linker.
        manifests: A folder of the module with everything that `kustomization` refers to.
        kustomization: A folder in there.
        without: A line of that kustomization which refers to something else.
        namespace: Where its controller runs.
        deployment: The controller.
        settings: Changes to its configuration, by section.
        groups: API groups that its webhooks look at; None: all that the manifests say.
        tries: Options for the object in TRIALS: --dry-run=server where the object is not to stay.
        needs: Names of other parts.
    """

    name: str
    module: str
    program: str
    manifests: str
    kustomization: str
    namespace: str
    deployment: str
    link: str = ""
    without: str = ""
    settings: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    groups: Collection[str] | None = None
    tries: Sequence[str] = ("--dry-run=server",)
    needs: Sequence[str] = ()

    @property
    def tool(self) -> Tool:
        """How its program is built."""
        return Tool(self.name, (self.program,), link=self.link)

    @property
    def image(self) -> str:
        """The name of its image."""
        return f"raygen.test/{self.name}:1"

    @property
    def marker(self) -> Path:
        """Its file in INSTALLED."""
        return INSTALLED / self.name


JOBSET = Part(
    "jobset",
    "sigs.k8s.io/jobset",
    "jobset",
    "config",
    "default",
    "jobset-system",
    "jobset-controller-manager",
    link="-X sigs.k8s.io/jobset/pkg/version.GitVersion=v0.12.0",
)
TRAINER = Part(
    "trainer",
    "github.com/kubeflow/trainer/v2",
    "trainer-controller-manager",
    "manifests",
    "overlays/manager",
    "kubeflow-system",
    "kubeflow-trainer-controller-manager",
    # Would fetch JobSet.
    without="  - ../../third-party/jobset",
    # What is tried is the runtime torch-distributed with the project's image, and stays.
    tries=(),
    needs=(JOBSET.name,),
)
KUEUE = Part(
    "kueue",
    "sigs.k8s.io/kueue",
    "kueue",
    "config",
    "default",
    "kueue-system",
    "kueue-controller-manager",
    link="-X sigs.k8s.io/kueue/pkg/version.GitVersion=v0.19.2",
    settings={
        "integrations": {"frameworks": list(KUEUE_INTEGRATES)},
        # It would serve an API of its own through the API server. While such an API does not answer, as when its
        # node is lost, Kubernetes deletes no namespace.
        "featureGates": {"VisibilityOnDemand": False},
    },
    # Without pods, deployments and whatever else it could manage: no pod starts while such a webhook is away.
    groups={"kueue.x-k8s.io", *(name.split("/")[0] for name in KUEUE_INTEGRATES)},
)
# Kueue comes last: when it starts, it looks for the kinds of the others.
ALL = (JOBSET, TRAINER, KUEUE)
NAMES = tuple(part.name for part in ALL)


def add(names: Iterable[str]) -> None:
    """Adds parts, and what they need, to the running cluster; one that is there as it would be now stays as it is."""
    asked = set(names)
    asked |= {need for part in ALL if part.name in asked for need in part.needs}
    if not asked:
        return
    with cluster.locked():
        _check()
        wanted = [(part, tools.build(part.tool)) for part in ALL if part.name in asked]
        lacking = [(part, built) for part, built in wanted if not _is_installed(part, built.name)]
        for part, built in lacking:
            images.ensure(part.image, part.name, built / part.program)
        for part, built in lacking:
            _install(part, built.name)
        new = [part.name for part, _ in lacking]
        if new and KUEUE.name not in new and KUEUE.marker.exists():
            with step("restart kueue"):
                # It looks for kinds that it did not find when it started, but ever more rarely.
                _kubectl(KUEUE, "rollout", "restart", f"deployment/{KUEUE.deployment}")
                _wait(KUEUE)


def _check() -> None:
    """Raises ClusterError where the API server would not reach webhooks: they would bar what others do there."""
    description = STATE / "machines" / f"{CONTROL}.json"
    if not description.exists() or control.REACHES_PODS not in description.read_text():
        raise ClusterError(
            "this cluster was started by a checkout that knew of no parts\n"
            "Start it anew: make cluster-down, then make cluster-up with them."
        )


def _is_installed(part: Part, key: str) -> bool:
    return part.marker.exists() and part.marker.read_text() == key


def _install(part: Part, key: str) -> None:
    images.load_into_nodes([part.image])
    with step(f"install {part.name}"):
        objects = {"apiVersion": "v1", "kind": "List", "items": _objects(part, key)}
        # As for KubeRay: too long for an annotation.
        cluster.kubectl("apply", "--server-side", "-f", "-", input_text=json.dumps(objects))
    with step(f"wait for {part.name} and its webhooks"):
        _wait(part)
    INSTALLED.mkdir(exist_ok=True)
    part.marker.write_text(key)


def _wait(part: Part) -> None:
    """Returns once the controller is ready and the API server reaches its webhooks."""
    _kubectl(part, "rollout", "status", f"deployment/{part.deployment}", "--timeout=120s")
    trial = ["apply", "--server-side", *part.tries, "-f", str(TRIALS / f"{part.name}.yaml")]
    hint = f"See why: kubectl {' '.join(trial)}"
    wait_until(lambda: cluster.kubectl(*trial, quiet=True), f"the webhooks of {part.name}", 60, hint=hint)


def _kubectl(part: Part, *arguments: str) -> str:
    return cluster.kubectl(f"--namespace={part.namespace}", *arguments)


def _objects(part: Part, key: str) -> list[dict[str, Any]]:
    """The module's manifests as this cluster has them."""
    source = tools.module(part.name, part.module) / part.manifests
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(source, folder, dirs_exist_ok=True, copy_function=shutil.copyfile)
        place = Path(folder, part.kustomization)
        text = (place / "kustomization.yaml").read_text()
        if part.without:
            assert part.without in text, part.without
            kept = [line for line in text.splitlines() if not line.startswith(part.without)]
            (place / "kustomization.yaml").write_text("\n".join(kept))
        rendered = cluster.kubectl("kustomize", str(place))
    # An APIService leads the API server to an API that is switched off: see above.
    found = [one for one in yaml.safe_load_all(rendered) if one["kind"] != "APIService"]
    for one in found:
        if one["kind"] == "Deployment":
            _fit(one, part, key)
        elif CONFIGURATION in one.get("data", {}):
            one["data"][CONFIGURATION] = _configure(one["data"][CONFIGURATION], part)
        elif part.groups is not None and one["kind"].endswith("WebhookConfiguration"):
            one["webhooks"] = [
                hook for hook in one["webhooks"] if hook["rules"][0]["apiGroups"][0] in part.groups
            ]
    return found


def _fit(deployment: dict[str, Any], part: Part, key: str) -> None:
    """One controller with our image, as KubeRay's in manifests/kuberay.yaml."""
    deployment["spec"] |= {"replicas": 1, "strategy": {"type": "Recreate"}}
    template = deployment["spec"]["template"]
    # The name of the image stays when it is built anew.
    template["metadata"].setdefault("annotations", {})["raygen.test/built-from"] = key
    pod = template["spec"]
    pod["tolerations"] = [
        {
            "key": f"node.kubernetes.io/{state}",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": 5,
        }
        for state in ("unreachable", "not-ready")
    ]
    (container,) = pod["containers"]
    container |= {"image": part.image, "imagePullPolicy": "Never", "resources": RESOURCES}
    container["readinessProbe"] |= {"initialDelaySeconds": 0, "periodSeconds": 1}


def _configure(text: str, part: Part) -> str:
    # Alone, and started anew elsewhere when its node is lost, it has nobody to wait for.
    settings = {"leaderElection": {"leaderElect": False}, **part.settings}
    configuration = yaml.safe_load(text)
    for section, changes in settings.items():
        configuration.setdefault(section, {}).update(changes)
    return yaml.safe_dump(configuration, sort_keys=False)
