"""The first process of a machine: it mounts, waits for the network, and keeps the machine's services running.

    python -I init.py MARK STATE NAME

Runs under `unshare` in network, mount and process-id namespaces of its own, so that ending it ends everything
that the machine ever started, containers too, and takes mounts and interfaces along. It uses nothing but the
standard library. MARK is there to be found;
STATE/machines/NAME.json says what to do; a line on standard input says that the network is
there, and its end without one that nobody is left to make it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

QUICK_SECONDS = 2.0
"""A service that ends sooner than this is started again only after a pause."""
PAUSE_SECONDS = 0.3


def main() -> None:
    state, name = Path(sys.argv[2]), sys.argv[3]
    ready = state / "machines" / f"{name}.ready"
    machine = json.loads((state / "machines" / f"{name}.json").read_text())
    # Mounts of this machine reach its containers, but never the host.
    run("mount", "--make-rshared", "/")
    for arguments in machine["mounts"]:
        run("mount", *arguments)
    for folder in machine["folders"]:
        Path(folder).mkdir(parents=True, exist_ok=True)
    run("ip", "link", "set", "lo", "up")
    for key, value in machine["sysctls"].items():
        Path("/proc/sys", *key.split(".")).write_text(str(value))
    # From here on, what enters this machine sees its mounts and not the host's.
    ready.touch()
    if not sys.stdin.readline():
        raise SystemExit("the network was never made")
    supervise(machine["services"], Path(machine["logs"]))


def run(*command: str) -> None:
    subprocess.run(command, check=True)


def supervise(services: list[dict[str, Any]], logs: Path) -> None:
    """Starts every service, and again whenever it ends; reaps every other process that lost its parent."""
    running = {start(service, logs): (service, time.monotonic()) for service in services}
    while True:
        pid, _ = os.waitpid(-1, 0)
        if pid in running:
            service, began = running.pop(pid)
            if time.monotonic() - began < QUICK_SECONDS:
                time.sleep(PAUSE_SECONDS)
            running[start(service, logs)] = (service, time.monotonic())


def start(service: dict[str, Any], logs: Path) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        log = os.open(logs / f"{service['name']}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.execvpe(service["command"][0], service["command"], os.environ | service["environment"])  # noqa: S606
    except OSError as error:
        os.write(2, f"{service['command'][0]}: {error.strerror}\n".encode())
    finally:
        os._exit(127)


if __name__ == "__main__":
    main()
