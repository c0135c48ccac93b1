"""The control machine: etcd, the API server, its controllers, DNS and the S3 server."""

from __future__ import annotations

import json
import secrets
import socket
import sys
from pathlib import Path

from testcluster import network, pki
from testcluster.machine import Machine, Service
from testcluster.network import API_ADDRESS, API_PORT, CONTROL, PODS, S3_ADDRESS, S3_PORT, SERVICES
from testcluster.paths import STATE
from testcluster.tools import binary

ETCD = "http://127.0.0.1:2379"
BUCKETS = STATE / "s3"
BUCKETS_SIZE = "12g"
PORTS = STATE / "ports.json"
S3_NAME = "http://s3.storage.svc.cluster.local"
CREDENTIALS = STATE / "s3-credentials"
FORWARD = Path(__file__).with_name("forward.py")
REACHES_PODS = "--enable-aggregator-routing"
"""Has the API server call webhooks at their pods' addresses: those of services mean nothing here, without kube-proxy."""


def start() -> None:
    """Starts the control machine; the host reaches the API and S3 through ports of its loopback."""
    listening = {name: _listening() for name in ("api", "s3")}
    ports = {name: int(listener.getsockname()[1]) for name, listener in listening.items()}
    pki.create(ports["api"])
    BUCKETS.mkdir(parents=True)
    (STATE / "Corefile").write_text(_corefile())
    CREDENTIALS.touch(mode=0o600)
    CREDENTIALS.write_text(f"raygen-test {secrets.token_hex(20)}")
    targets = {"api": f"{API_ADDRESS}:{API_PORT}", "s3": f"{S3_ADDRESS}:{S3_PORT}"}
    forwards = [f"{listening[name].fileno()}={target}" for name, target in targets.items()]
    machine = Machine(
        CONTROL,
        services=[
            *_kubernetes(),
            _dns(),
            _s3(),
            Service("forward", [sys.executable, "-I", str(FORWARD), *forwards]),
        ],
        # The state of etcd lives as long as the cluster, in memory.
        mounts=[
            ["-t", "tmpfs", "tmpfs", "/run"],
            ["-t", "tmpfs", "-o", f"size={BUCKETS_SIZE}", "s3", str(BUCKETS)],
        ],
        sysctls={"net.ipv4.ip_forward": "1"},
    )
    machine.start(network.connect_control(), [listener.fileno() for listener in listening.values()])
    for listener in listening.values():
        listener.close()
    PORTS.write_text(json.dumps(ports))


def s3_endpoint() -> str:
    """The S3 server's address for this host; pods know it as S3_NAME."""
    return f"http://127.0.0.1:{json.loads(PORTS.read_text())['s3']}"


def s3_credentials() -> tuple[str, str]:
    """Access key id and secret of the S3 server's owner."""
    identifier, secret = CREDENTIALS.read_text().split()
    return identifier, secret


def _kubernetes() -> list[Service]:
    folder = pki.FOLDER
    client = [f"--client-ca-file={pki.CA}"]
    api = [
        f"--etcd-servers={ETCD}",
        f"--advertise-address={API_ADDRESS}",
        f"--bind-address={API_ADDRESS}",
        f"--secure-port={API_PORT}",
        f"--service-cluster-ip-range={SERVICES}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        *client,
        f"--tls-cert-file={folder / 'apiserver.crt'}",
        f"--tls-private-key-file={folder / 'apiserver.key'}",
        f"--service-account-key-file={folder / 'service-accounts.crt'}",
        f"--service-account-signing-key-file={folder / 'service-accounts.key'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--kubelet-client-certificate={folder / 'admin.crt'}",
        f"--kubelet-client-key={folder / 'admin.key'}",
        f"--kubelet-certificate-authority={pki.CA}",
        "--kubelet-preferred-address-types=InternalIP",
        REACHES_PODS,
    ]
    manager = [
        *_as("controller-manager"),
        f"--service-account-private-key-file={folder / 'service-accounts.key'}",
        f"--root-ca-file={pki.CA}",
        "--use-service-account-credentials",
        f"--cluster-cidr={PODS}",
        "--allocate-node-cidrs=false",
        "--leader-elect=false",
        f"--cluster-signing-cert-file={pki.CA}",
        f"--cluster-signing-key-file={folder / 'ca.key'}",
        # Tests lose nodes on purpose; upstream's 50 s would be most of their time.
        "--node-monitor-grace-period=12s",
        "--node-monitor-period=2s",
    ]
    return [
        Service(
            "etcd",
            [
                str(binary("etcd")),
                "--data-dir=/run/etcd",
                f"--listen-client-urls={ETCD}",
                f"--advertise-client-urls={ETCD}",
                "--listen-peer-urls=http://127.0.0.1:2380",
                "--unsafe-no-fsync",
            ],
        ),
        Service("apiserver", [str(binary("kube-apiserver")), *api]),
        Service("controller-manager", [str(binary("kube-controller-manager")), *manager]),
        Service("scheduler", [str(binary("kube-scheduler")), *_as("scheduler"), "--leader-elect=false"]),
    ]


def _dns() -> Service:
    return Service("dns", [str(binary("coredns")), f"-conf={STATE / 'Corefile'}"])


def _s3() -> Service:
    identifier, secret = s3_credentials()
    return Service(
        "s3",
        [str(binary("versitygw")), "--port", f"{S3_ADDRESS}:{S3_PORT}", "posix", str(BUCKETS)],
        {"ROOT_ACCESS_KEY": identifier, "ROOT_SECRET_KEY": secret},
    )


def _as(user: str) -> list[str]:
    path = pki.FOLDER / f"{user}.kubeconfig"
    return [
        f"--kubeconfig={path}",
        f"--authentication-kubeconfig={path}",
        f"--authorization-kubeconfig={path}",
    ]


def _corefile() -> str:
    return f"""cluster.local:53 {{
  bind {API_ADDRESS}
  kubernetes cluster.local {{
    kubeconfig {pki.FOLDER / "admin.kubeconfig"} raygen-test
  }}
  errors
}}
"""


def _listening() -> socket.socket:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.set_inheritable(True)
    return listener
