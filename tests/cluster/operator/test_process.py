"""The operator as a process before a real API server: Lease, probes, signals, and an API server that goes away."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from raygen.controller.election import LEASE_SECONDS
from raygen.kube import LEASES, Connection
from tests.cluster.api import until
from tests.cluster.apiserver import ApiServer, free_port, serving
from tests.cluster.operator.stub import Surroundings

RAYGEN = Path(sys.executable).with_name("raygen")


@contextmanager
def operator(api: ApiServer, namespace: str, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process, and the address of its probes."""
    port = free_port()
    command = [RAYGEN, "operator", "--kubeconfig", api.kubeconfig, "--namespace", namespace]
    process = subprocess.Popen(
        [*map(str, command), "--health-port", str(port), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={key: value for key, value in os.environ.items() if key != "KUBECONFIG"},
    )
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        # Shown where a test fails.
        print(process.communicate()[1][-8000:])


def ask(address: str, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(address + path, timeout=5) as answer:  # noqa: S310 (our own)
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def made(world: Surroundings) -> list[str]:
    return [one["metadata"]["name"] for one in world.ray_jobs()]


def test_it_leads_works_answers_and_ends(api: ApiServer, admin: Connection, team: str) -> None:
    world = Surroundings(admin, team)
    world.runtime()
    with operator(api, team, "--lease-namespace", team) as (process, address):
        until("readiness", 30, lambda: ask(address, "/readyz")[0] == 200)
        assert json.loads(ask(address, "/livez")[1]) == {"watches": "ok", "queue": "ok"}
        world.submit()
        until("its RayJob", 30, lambda: made(world) == ["tiny-r1"])
        world.runs(1)
        world.driver(1, 5)
        until("training", 30, lambda: world.job()["status"]["conditions"][0]["reason"] == "Training")
        assert "raygen_reconcile_seconds_count" in ask(address, "/metrics")[1]
        assert ask(address, "/elsewhere")[0] == 404
        holder = admin.get(LEASES, team, "raygen-operator")["spec"]["holderIdentity"]
        assert holder
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
        assert process.returncode == 0, out + err
    # Given back, so that the next one need not wait until it has run out.
    assert not admin.get(LEASES, team, "raygen-operator")["spec"]["holderIdentity"]


def test_when_the_leader_is_killed_the_other_takes_over_within_the_lease(
    api: ApiServer, admin: Connection, team: str
) -> None:
    world = Surroundings(admin, team)
    world.runtime()
    with operator(api, team, "--lease-namespace", team) as (first, address):
        until("the first to lead", 30, lambda: ask(address, "/readyz")[0] == 200)
        until("its Lease", 10, lambda: holder(admin, team))
        held = holder(admin, team)
        with operator(api, team, "--lease-namespace", team) as (_, other):
            until("the second to be ready", 30, lambda: ask(other, "/readyz")[0] == 200)
            assert holder(admin, team) == held
            first.kill()
            world.submit()
            until("the second to take over", LEASE_SECONDS + 15, lambda: made(world) == ["tiny-r1"])
            assert holder(admin, team) != held


def holder(admin: Connection, namespace: str) -> str:
    leases, _ = admin.list(LEASES, namespace)
    return str(leases[0]["spec"].get("holderIdentity") or "") if leases else ""


def test_without_definitions_it_says_what_to_install(tmp_path: Path) -> None:
    server = ApiServer(tmp_path)
    try:
        server.start()
        with operator(server, "default") as (process, address):
            until("its probes", 30, lambda: ask(address, "/livez")[0] == 200)
            code, said = ask(address, "/readyz")
            assert code == 503
            assert "waits for raygenruntimes" in said
            process.send_signal(signal.SIGTERM)
    finally:
        server.stop()


def test_an_api_server_that_is_away_for_a_minute_costs_nothing(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        admin = server.connection()
        world = Surroundings(admin, "default")
        world.runtime()
        with operator(server, "default") as (process, address):
            until("readiness", 30, lambda: ask(address, "/readyz")[0] == 200)
            world.submit()
            until("its RayJob", 30, lambda: made(world) == ["tiny-r1"])
            server.stop("kube-apiserver")
            until("a minute", 90, lambda: _silent(address) > 60)
            assert ask(address, "/livez")[0] == 200, "a new process would not bring it back"
            server.start()
            world.runs(1)
            world.driver(1, 5)
            until("training", 150, lambda: _reason(world) == "Training")
            assert process.poll() is None
            assert made(world) == ["tiny-r1"]


def _silent(address: str) -> float:
    lines = ask(address, "/metrics")[1].splitlines()
    return max(float(line.split()[1]) for line in lines if line.startswith("raygen_watch_silence_seconds{"))


def _reason(world: Surroundings) -> Any:
    """The reason of the summary; None while the operator has not written one."""
    conditions = world.job()["status"].get("conditions") or [{}]
    return conditions[0].get("reason")


def test_a_port_that_is_taken_is_named(api: ApiServer, team: str) -> None:
    with operator(api, team) as (_, address):
        until("its probes", 30, lambda: ask(address, "/livez")[0] == 200)
        port = address.rpartition(":")[2]
        command = [RAYGEN, "operator", "--kubeconfig", api.kubeconfig, "--health-port", port]
        done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=60)
        assert done.returncode == 2
        assert f"port {port} for probes cannot be bound" in done.stderr
        assert "Traceback" not in done.stderr
