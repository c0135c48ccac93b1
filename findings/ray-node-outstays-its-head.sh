#!/usr/bin/env bash
# A Ray node that is told to end after its head has gone stays for half a minute.
#
# At SIGTERM `ray start --block` first asks the head to drain the node, and waits for an answer. Where the head ended a moment
# before, as when a whole cluster is deleted, nobody answers: each worker holds its place, and its GPUs, for 30 s
# more. RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S, of which the documentation does not speak, sets that time.
# Versions: ray 2.60.0.
# Source: ray/scripts/scripts.py and ray/_private/ray_constants.py name the variable; no page of the documentation does.
# raygen: the image `train` sets it to 0; raygen's preStop hook has left a checkpoint by then (docs/decisions.md, 2026-11-29).
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages 'ray[default]==2.60.0'
look <<'PY'
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from verdict import verdict

RAY = [str(Path(sys.executable).with_name("ray")), "start", "--block", "--num-cpus=1", "--disable-usage-stats"]
VARIABLE = "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"


def free_port():
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


def started(options, variables):
    """`ray start`, once its node runs."""
    process = subprocess.Popen(
        [*RAY, *options],
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert any("--block" in line for line in process.stdout), "Ray did not start"
    return process


def seconds_to_end(variables):
    """How long a worker's `ray start` takes to end after SIGTERM, when the head is gone."""
    port = free_port()
    places = [f"--temp-dir={os.environ['RAY_TMPDIR']}", "--include-dashboard=false"]
    head = started(["--head", f"--port={port}", *places], variables)
    agent = f"--dashboard-agent-listen-port={free_port()}"
    worker = started([f"--address=127.0.0.1:{port}", agent], variables)
    try:
        os.killpg(head.pid, signal.SIGKILL)
        head.wait()
        began = time.monotonic()
        worker.terminate()
        worker.wait(timeout=120)
        return time.monotonic() - began
    finally:
        for process in (head, worker):
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


with_default, with_none = seconds_to_end({}), seconds_to_end({VARIABLE: "0"})
verdict(
    expected="a node that ends within seconds",
    seen=f"{with_default:.0f} s, and {with_none:.0f} s with {VARIABLE}=0",
    holds=with_default > 25 and with_none < 15,
)
PY
