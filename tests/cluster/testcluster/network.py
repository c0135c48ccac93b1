"""Addresses, and how machines are wired: a bridge on the control machine, a cable to each node, nothing on the host."""

from __future__ import annotations

from testcluster.machine import find, inside, run

CONTROL = "control"
NODES = ("node-1", "node-2")

API_ADDRESS = "10.250.0.1"
API_PORT = 6443
S3_ADDRESS = "10.250.0.2"
"""An address of its own, so that a node can be cut off from the API and still reach storage."""
S3_PORT = 7070
BRIDGE = "cluster"
SERVICES = "10.96.0.0/16"
API_SERVICE = "10.96.0.1"
PODS = "10.244.0.0/16"
_BARRED = "BARRED"
# Out, where addresses of services have been replaced by those of servers, and in.
_BARRED_WAYS = (
    ("POSTROUTING", "--out-interface", "eth0", "--jump", _BARRED),
    ("PREROUTING", "--in-interface", "eth0", "--jump", _BARRED),
)


def node_address(node: str) -> str:
    """The node's address on the bridge."""
    return f"10.250.0.{10 + _number(node)}"


def pod_range(node: str) -> str:
    """The addresses of a node's pods."""
    return f"10.244.{_number(node)}.0/24"


def pod_gateway(node: str) -> str:
    """The node's own address among its pods."""
    return f"10.244.{_number(node)}.1"


def connect_control() -> list[list[str]]:
    """Commands that make the control machine's bridge and its routes to pods."""
    return [
        _ip("PID", "link", "add", BRIDGE, "type", "bridge"),
        _ip("PID", "addr", "add", f"{API_ADDRESS}/24", "dev", BRIDGE),
        _ip("PID", "addr", "add", f"{S3_ADDRESS}/24", "dev", BRIDGE),
        _ip("PID", "link", "set", BRIDGE, "up"),
        *(_ip("PID", "route", "add", pod_range(node), "via", node_address(node)) for node in NODES),
    ]


def connect_node(node: str) -> list[list[str]]:
    """Commands that lay the cable from the control machine to a node, and the node's routes."""
    control = str(find(CONTROL))
    return [
        _ip(control, "link", "add", node, "type", "veth", "peer", "name", "eth0", "netns", "PID"),
        _ip(control, "link", "set", node, "master", BRIDGE, "up"),
        _ip("PID", "addr", "add", f"{node_address(node)}/24", "dev", "eth0"),
        _ip("PID", "link", "set", "eth0", "up"),
        _ip("PID", "route", "add", "default", "via", API_ADDRESS),
        *(
            _ip("PID", "route", "add", pod_range(other), "via", node_address(other))
            for other in NODES
            if other != node
        ),
    ]


def forget_node(node: str) -> None:
    """Takes away what is left of a node's cable: the kernel removes it only a moment after the node."""
    run(*inside(CONTROL, "ip", "link", "delete", node), quiet=True)


def unplug(node: str) -> None:
    """Pulls the node's cable: neither the API nor storage nor another node can be reached."""
    run(*inside(CONTROL, "ip", "link", "set", node, "down"))


def bar(node: str) -> None:
    """Drops all between the node with its pods and the rest, except storage and the server of names."""
    plug(node)
    run(*_mangle(node, "--new-chain", _BARRED))
    for end, port in (("--destination", "--dport"), ("--source", "--sport")):
        run(*_mangle(node, "--append", _BARRED, end, S3_ADDRESS, "--jump", "RETURN"))
        names = [end, API_ADDRESS, "--protocol", "udp", port, "53"]
        run(*_mangle(node, "--append", _BARRED, *names, "--jump", "RETURN"))
    run(*_mangle(node, "--append", _BARRED, "--jump", "DROP"))
    for way in _BARRED_WAYS:
        run(*_mangle(node, "--append", *way))


def plug(node: str) -> None:
    """Undoes `unplug` and `bar`."""
    run(*inside(CONTROL, "ip", "link", "set", node, "up"))
    for way in _BARRED_WAYS:
        run(*_mangle(node, "--delete", *way), quiet=True)
    for command in (["--flush", _BARRED], ["--delete-chain", _BARRED]):
        run(*_mangle(node, *command), quiet=True)


def _mangle(node: str, *command: str) -> list[str]:
    return inside(node, "iptables", "--wait", "--table", "mangle", *command)


def _ip(pid: str, *command: str) -> list[str]:
    return ["nsenter", f"--net=/proc/{pid}/ns/net", "ip", *command]


def _number(node: str) -> int:
    return NODES.index(node) + 1
