"""The cluster's certificates and the kubeconfig files that carry them."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import trustme

from testcluster.network import API_ADDRESS, API_SERVICE, NODES, node_address
from testcluster.paths import KUBECONFIG, STATE

FOLDER = STATE / "pki"
CA = FOLDER / "ca.crt"
_SERVICE = "kubernetes.default.svc"

USERS = {
    "admin": ("admin", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", None),
    "scheduler": ("system:kube-scheduler", None),
    "proxy": ("system:kube-proxy", None),
    **{node: (f"system:node:{node}", "system:nodes") for node in NODES},
}
"""Common name and organisation of each client, by the name of its files."""


def create(port: int) -> None:
    """Makes a new authority and everything it signs.

    Args:
        port: The API's, on the host's loopback, for the kubeconfig of the person here.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA(organization_name="raygen test cluster")
    authority.cert_pem.write_to_path(str(CA))
    authority.private_key_pem.write_to_path(str(FOLDER / "ca.key"))
    names = ["kubernetes", "kubernetes.default", _SERVICE, f"{_SERVICE}.cluster.local", "localhost"]
    _issue(authority, "apiserver", [*names, "127.0.0.1", API_ADDRESS, API_SERVICE], "kube-apiserver", None)
    for name, (common, organisation) in USERS.items():
        identities = [name, node_address(name)] if name in NODES else [f"{name}.invalid"]
        _issue(authority, name, identities, common, organisation)
        _kubeconfig(name, f"https://{API_ADDRESS}:6443", FOLDER / f"{name}.kubeconfig")
    _kubeconfig("admin", f"https://127.0.0.1:{port}", KUBECONFIG)
    # The API server takes the public half out of the certificate.
    _issue(authority, "service-accounts", ["service-accounts.invalid"], "service-accounts", None)


def _issue(
    authority: trustme.CA, name: str, identities: list[str], common: str, organisation: str | None
) -> None:
    issued = authority.issue_cert(*identities, common_name=common, organization_name=organisation)
    (FOLDER / f"{name}.key").touch(mode=0o600)
    issued.private_key_pem.write_to_path(str(FOLDER / f"{name}.key"))
    (FOLDER / f"{name}.crt").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))


def _kubeconfig(name: str, server: str, path: Path) -> None:
    def encoded(file: Path) -> str:
        return base64.b64encode(file.read_bytes()).decode()

    user = {
        "client-certificate-data": encoded(FOLDER / f"{name}.crt"),
        "client-key-data": encoded(FOLDER / f"{name}.key"),
    }
    cluster = {"server": server, "certificate-authority-data": encoded(CA)}
    path.touch(mode=0o600)
    # JSON is YAML.
    path.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "raygen-test", "cluster": cluster}],
                "users": [{"name": name, "user": user}],
                "contexts": [{"name": "raygen-test", "context": {"cluster": "raygen-test", "user": name}}],
                "current-context": "raygen-test",
            }
        )
    )
