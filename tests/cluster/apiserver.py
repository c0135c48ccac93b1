"""A real API server and its etcd, alone: no nodes, no controllers, no KubeRay, no root. Up in some five seconds.

For what concerns the API alone: definitions, admission, the operator's writes. What happens to RayJobs is up to the test.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import trustme
import yaml
from kubernetes.client import Configuration
from testcluster import kuberay, tools

from raygen.kube import RAY_JOBS, RUNTIMES, TRAINING_JOBS, ApiError, Connection, connect
from raygen.kube.resources import Resource
from tests.cluster.api import until

ROOT = Path(__file__).resolve().parents[2]
CRDS = Resource(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    namespaced=False,
)
NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
MANAGER = "tests"


class ApiServer:
    """etcd and kube-apiserver as processes of this machine, on free ports of the loopback.

    Attributes:
        kubeconfig: For its administrator.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = [free_port() for _ in range(3)]
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.kubeconfig = folder / "kubeconfig"
        self._certificates()

    @property
    def address(self) -> str:
        """Of the API server."""
        return f"https://127.0.0.1:{self._ports[2]}"

    def start(self) -> None:
        """Starts what does not run, and waits until it answers."""
        client, peer, port = self._ports
        self._run(
            "etcd",
            f"--data-dir={self._folder / 'etcd'}",
            f"--listen-client-urls=http://127.0.0.1:{client}",
            f"--advertise-client-urls=http://127.0.0.1:{client}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}",
            "--unsafe-no-fsync",
        )
        folder = self._folder
        self._run(
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{client}",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--authorization-mode=RBAC",
            # Its accounts would have to be made by a controller.
            "--disable-admission-plugins=ServiceAccount",
            f"--client-ca-file={folder / 'ca.crt'}",
            f"--tls-cert-file={folder / 'server.crt'}",
            f"--tls-private-key-file={folder / 'server.key'}",
            f"--service-account-key-file={folder / 'server.crt'}",
            f"--service-account-signing-key-file={folder / 'server.key'}",
            "--service-account-issuer=https://kubernetes.default.svc",
        )
        until("the API server", 60, self._is_ready)

    def stop(self, *names: str) -> None:
        """Kills processes; with no name all of them."""
        for name in names or tuple(self._processes):
            process = self._processes.pop(name)
            process.kill()
            process.wait(10)

    def connection(self) -> Connection:
        """As its administrator."""
        return connect(str(self.kubeconfig))

    def as_user(self, name: str, *groups: str) -> Connection:
        """As somebody else."""
        return connect(str(self.kubeconfig_of(name, *groups)))

    def kubeconfig_of(self, name: str, *groups: str) -> Path:
        """For somebody else."""
        path = self._folder / f"{name}.kubeconfig"
        if not path.exists():
            self._user(name, groups[0] if groups else None, path)
        return path

    def with_token(self, token: str) -> Connection:
        """As the bearer of a token."""
        configuration = Configuration(host=self.address)
        configuration.ssl_ca_cert = str(self._folder / "ca.crt")
        configuration.api_key["BearerToken"] = f"Bearer {token}"
        return Connection(configuration)

    def _run(self, name: str, *arguments: str) -> None:
        if name in self._processes:
            return
        log = (self._folder / f"{name}.log").open("ab")
        self._processes[name] = subprocess.Popen(
            [tools.binary(name), *arguments], stdout=log, stderr=log, start_new_session=True
        )
        log.close()

    def _is_ready(self) -> bool:
        for name, process in self._processes.items():
            assert process.poll() is None, (self._folder / f"{name}.log").read_text()[-2000:]
        trust = ssl.create_default_context(cafile=str(self._folder / "ca.crt"))
        trust.load_cert_chain(self._folder / "admin.crt", self._folder / "admin.key")
        try:
            answer = urllib.request.urlopen(f"{self.address}/readyz", timeout=5, context=trust)  # noqa: S310
        except OSError:
            return False
        with answer:
            return bool(answer.status == 200)

    def _certificates(self) -> None:
        self._authority = trustme.CA(organization_name="raygen tests")
        self._authority.cert_pem.write_to_path(str(self._folder / "ca.crt"))
        self._issue("server", "kube-apiserver", None, "127.0.0.1", "localhost")
        self._user("admin", "system:masters", self.kubeconfig)

    def _user(self, name: str, group: str | None, path: Path) -> None:
        self._issue(name, name, group, f"{name}.invalid")
        cluster = {"server": self.address, "certificate-authority": str(self._folder / "ca.crt")}
        files = {
            "client-certificate": str(self._folder / f"{name}.crt"),
            "client-key": str(self._folder / f"{name}.key"),
        }
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "tests", "cluster": cluster}],
            "users": [{"name": name, "user": files}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": name}}],
            "current-context": "tests",
        }
        path.write_text(yaml.safe_dump(config))

    def issued(self, *names: str) -> trustme.LeafCert:
        """A certificate of its authority for these names."""
        return self._authority.issue_cert(*names)

    def _issue(self, file: str, common: str, group: str | None, *names: str) -> None:
        issued = self._authority.issue_cert(*names, common_name=common, organization_name=group)
        issued.private_key_pem.write_to_path(str(self._folder / f"{file}.key"))
        certificate = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        (self._folder / f"{file}.crt").write_bytes(certificate)


def install(connection: Connection) -> None:
    """The definitions of raygen and of KubeRay, and the admission policies."""
    paths = [
        *sorted((ROOT / "manifests" / "crd").glob("*.yaml")),
        *sorted((tools.module("kuberay", kuberay.MODULE) / "config/crd/bases").glob("*.yaml")),
        ROOT / "manifests" / "admission" / "policies.yaml",
    ]
    for path in paths:
        for document in yaml.safe_load_all(path.read_text()):
            apply(connection, document)
    until("the definitions", 30, lambda: _established(connection))


def apply(connection: Connection, document: dict[str, object]) -> None:
    """Server-side apply of any object."""
    group, _, version = str(document["apiVersion"]).rpartition("/")
    kind = str(document["kind"])
    plural = f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"
    metadata = document["metadata"]
    assert isinstance(metadata, dict)
    resource = Resource(group, version, plural.lower(), kind, namespaced="namespace" in metadata)
    connection.apply(resource, metadata.get("namespace", ""), metadata["name"], document, manager=MANAGER)


def _established(connection: Connection) -> bool:
    found, _ = connection.list(CRDS)
    said = [(crd.get("status") or {}).get("conditions") or () for crd in found]
    if not all(
        any(one["type"] == "Established" and one["status"] == "True" for one in some) for some in said
    ):
        return False
    try:
        # Established and ready to answer are two things.
        for resource in (TRAINING_JOBS, RUNTIMES, RAY_JOBS):
            connection.list(resource)
    except ApiError:
        return False
    return True


@contextlib.contextmanager
def started(folder: Path) -> Iterator[ApiServer]:
    """An API server with nothing installed."""
    server = ApiServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[ApiServer]:
    """An API server with everything installed."""
    with started(folder) as server:
        install(server.connection())
        yield server


def free_port() -> int:
    """A port of the loopback that nobody has."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
