"""The whole cluster: up, down and what it looks like; stopping, cutting off and draining a node."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testcluster import control, host, images, init, kuberay, lock, machine, network, node, pki, tools
from testcluster.console import ClusterError, step, wait_until
from testcluster.machine import run
from testcluster.network import CONTROL, NODES
from testcluster.paths import CACHE, KUBECONFIG, MANIFESTS, STATE

VERSIONS = STATE / "versions"
"""The programs that the running cluster was started from, and a digest of how it is put together."""


def up() -> None:
    """Starts the cluster, building what is missing; one that runs gets the project's image as it is now."""
    host.check()
    with locked():
        versions = "\n".join([*(str(tools.build(tool)) for tool in tools.ALL), _shape()])
        images.ensure_built()
        images.ensure_project()
        if _is_started(versions):
            _mend()
            images.update_nodes()
            return
        _remove()
        # The keys of the cluster lie here, and those of the S3 server.
        STATE.mkdir(mode=0o700, parents=True)
        (STATE / "logs").mkdir()
        images.fill_store()
        with step("start the control plane"):
            control.start()
            wait_until(
                lambda: "ok" in kubectl("get", "--raw", "/readyz", quiet=True),
                "the API server",
                60,
                hint=_logs(CONTROL),
            )
        for name in NODES:
            with step(f"start {name}"):
                images.give(name)
                node.start(name)
        with step("install KubeRay and the S3 server's name"):
            kuberay.install(kubectl)
            kubectl("apply", "--server-side", "-f", str(MANIFESTS / "storage.yaml"))
        with step("wait for nodes and KubeRay"):
            wait_for_nodes()
            kuberay.wait(kubectl)
        images.LOADED.write_text(json.dumps(images.digests()))
        VERSIONS.write_text(versions)


def build_images() -> None:
    """Builds what `up` would, and leaves a cluster that runs as it is."""
    host.check()
    with locked():
        images.ensure_built()
        images.ensure_project()


def _shape() -> str:
    """A digest of what decides how the machines are put together and what their programs are told."""
    code = [
        Path(str(module.__file__)) for module in (control, images, init, kuberay, machine, network, node, pki)
    ]
    digest = hashlib.sha256()
    for path in [*code, *sorted(MANIFESTS.glob("*.yaml"))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def down() -> None:
    """Ends the cluster and removes all it left, except what is built."""
    with locked(), step("remove the cluster"):
        _remove()


def healthy() -> bool:
    """Whether the cluster was started to the end, every machine runs, and every node is ready."""
    runs = all(machine.find(name) for name in (CONTROL, *NODES)) and VERSIONS.exists()
    return runs and set(ready_nodes()) == set(NODES)


def _is_started(versions: str) -> bool:
    """Whether a cluster of these programs was started to its end, and its control machine runs."""
    return VERSIONS.exists() and VERSIONS.read_text() == versions and machine.find(CONTROL) is not None


def _mend() -> None:
    """Starts nodes that were stopped, and waits for those that are not ready."""
    for name in NODES:
        if machine.find(name) is None:
            with step(f"start {name}"):
                node.start(name)
    if set(ready_nodes()) != set(NODES):
        with step("wait for nodes"):
            wait_for_nodes()


def ready_nodes() -> list[str]:
    """Names of the nodes that Kubernetes finds ready."""
    ready = '{.status.conditions[?(@.type=="Ready")].status}'
    lines = kubectl(
        "get",
        "nodes",
        "-o",
        f'jsonpath={{range .items[*]}}{{.metadata.name}} {ready}{{"\\n"}}{{end}}',
        quiet=True,
    )
    return [line.split()[0] for line in lines.splitlines() if line.endswith(" True")]


def wait_for_nodes() -> None:
    """Returns once all nodes are ready."""
    hint = f"Heal one that was cut off (heal-node), or begin anew: make cluster-down cluster-up\n{_logs('node-1')}"
    wait_until(lambda: set(ready_nodes()) == set(NODES), "all nodes ready", 90, hint=hint)


def status() -> str:
    """Machines, nodes, pods and addresses, for a person."""
    machines = [f"{name:<10} {'runs' if machine.find(name) else 'stopped'}" for name in (CONTROL, *NODES)]
    if not machine.find(CONTROL):
        return "\n".join([*machines, "Start it: make cluster-up"])
    return "\n".join(
        [
            *machines,
            "",
            kubectl("get", "nodes", "-o", "wide", quiet=True),
            kubectl("get", "pods", "--all-namespaces", "-o", "wide", quiet=True),
            f"export KUBECONFIG={KUBECONFIG}",
            f"S3 {control.s3_endpoint()} here, {control.S3_NAME} in pods; its keys: {control.CREDENTIALS}",
            f"logs {STATE / 'logs'}",
        ]
    )


def kubectl(*arguments: str, quiet: bool = False, input_text: str | None = None) -> str:
    """Runs the cluster's own kubectl as its administrator."""
    command = [str(tools.binary("kubectl")), f"--kubeconfig={KUBECONFIG}", *arguments]
    return run(*command, quiet=quiet, input_text=input_text)


def stop_node(name: str) -> None:
    """Ends a node as a power cut would."""
    machine.stop(_known(name))


def start_node(name: str) -> None:
    """Starts a node that was stopped, with the disk it had."""
    if machine.find(_known(name)) is None:
        node.start(name)


def cut_node(name: str, *, storage: bool) -> None:
    """Cuts a node off.

    Args:
        name: The node.
        storage: Whether its pods can still reach the S3 server, and nothing else.
    """
    if storage:
        network.bar(_known(name))
    else:
        network.unplug(_known(name))


def heal_node(name: str) -> None:
    """Undoes `cut_node`."""
    network.plug(_known(name))


def limit_storage(spare: int | None) -> None:
    """Lets the S3 server take only `spare` more bytes, in all buckets together; None: as much as at first.

    Raises:
        ClusterError: The limit could not be set.
    """
    if spare is None:
        return _resize_storage(control.BUCKETS_SIZE)
    # The kernel refuses a limit below what is stored, and the server may have stored more since that was read.
    for _ in range(20):
        used = run(*machine.inside(CONTROL, "df", "--block-size=1", "--output=used", str(control.BUCKETS)))
        try:
            return _resize_storage(str(int(used.split()[-1]) + spare))
        except ClusterError as error:
            refused = error
    raise refused


def _resize_storage(size: str) -> None:
    run(*machine.inside(CONTROL, "mount", "-o", f"remount,size={size}", str(control.BUCKETS)))


def _known(name: str) -> str:
    if name not in NODES:
        raise ClusterError(f"there is no node {name}\nIts nodes are {' and '.join(NODES)}.")
    return name


def _remove() -> None:
    for name in (*NODES, CONTROL, "store"):
        machine.stop(name)
    for name in machine.names():
        machine.stop(name)
    node.remove_cgroups()
    if STATE.exists():
        shutil.rmtree(STATE)


def _logs(name: str) -> str:
    return f"Its logs: {STATE / 'logs' / name}"


@contextmanager
def locked() -> Iterator[None]:
    """One tool at a time."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with lock.taken(
        CACHE / "lock", "is at work on the cluster: cluster-up, cluster-down or a build of its images"
    ):
        yield
