"""A machine of the cluster: one process tree in namespaces of its own.

There is no list of processes to keep: a machine is its first process, found by its command line, which names the
state folder. So a tool that was killed half-way leaves nothing that the next one cannot find.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from testcluster.console import ClusterError, wait_until
from testcluster.paths import STATE

INIT = Path(__file__).with_name("init.py")
# Detached from this process, which may end before the machine.
UNSHARE = ("setsid", "--fork", "unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc")


@dataclass(frozen=True)
class Service:
    """A program that runs as long as its machine."""

    name: str
    command: list[str]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Machine:
    """What a machine mounts, sets and runs.

    Attributes:
        name: Also the name of its folder of logs.
        services: All started at once; each is started again when it ends.
        mounts: Arguments of mount, in order.
        folders: Made after the mounts.
        sysctls: Of its network namespace.
    """

    name: str
    services: Sequence[Service]
    mounts: Sequence[Sequence[str]] = ()
    folders: Sequence[str] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)

    @property
    def logs(self) -> Path:
        """The folder of its services' logs."""
        return STATE / "logs" / self.name

    def start(self, connect: Sequence[Sequence[str]], descriptors: Sequence[int] = ()) -> None:
        """Starts the machine.

        Args:
            connect: Commands that make its network once its namespace is there; PID stands for its first process.
            descriptors: Open files that it inherits.
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        description = STATE / "machines" / f"{self.name}.json"
        description.parent.mkdir(parents=True, exist_ok=True)
        ready = description.with_suffix(".ready")
        ready.unlink(missing_ok=True)
        description.write_text(json.dumps(asdict(self) | {"logs": str(self.logs)}))
        with (self.logs / "init.log").open("ab") as log:
            process = subprocess.Popen(
                [*UNSHARE, sys.executable, "-I", str(INIT), *_marks(self.name)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=descriptors,
            )
        process.wait()
        assert process.stdin is not None
        hint = f"See {self.logs / 'init.log'}"
        wait_until(lambda: find(self.name) and ready.exists(), f"machine {self.name}", 20, hint=hint)
        pid = find(self.name)
        assert pid is not None
        for command in connect:
            run(*(str(pid) if word == "PID" else word.replace("/PID/", f"/{pid}/") for word in command))
        process.stdin.write(b"connected\n")
        process.stdin.close()


def find(name: str) -> int | None:
    """The process id of a machine's first process, None if it does not run."""
    wanted = [os.fsencode(word) for word in _marks(name)]
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes().split(b"\0")[:-1]
            # `unshare` above it ends with the same words, but is the first process of no namespace.
            if command[-len(wanted) :] == wanted and _number_in_namespace(entry) == 1:
                return int(entry.name)
        except OSError:
            continue
    return None


def names() -> list[str]:
    """Machines that were described, whether or not they run."""
    return sorted(path.stem for path in (STATE / "machines").glob("*.json"))


def stop(name: str) -> None:
    """Ends a machine as a power cut would; returns when nothing of it is left."""
    if pid := find(name):
        os.kill(pid, signal.SIGKILL)
        # A namespace is empty before its first process goes.
        wait_until(lambda: not Path(f"/proc/{pid}").exists(), f"{name} to end", 30)


def inside(name: str, *command: str) -> list[str]:
    """A command line that runs `command` in the machine's namespaces."""
    pid = find(name)
    if pid is None:
        raise ClusterError(f"{name} is not running\nStart the cluster: make cluster-up")
    return ["nsenter", f"--target={pid}", "--net", "--mount", "--pid", "--", *command]


def run(*command: str, quiet: bool = False, input_text: str | None = None) -> str:
    """Runs a command and returns what it printed.

    Raises:
        ClusterError: It failed; with what it said.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, input=input_text, check=False)
    except FileNotFoundError:
        raise ClusterError(f"{command[0]} is not installed") from None
    if done.returncode and not quiet:
        raise ClusterError(
            f"{' '.join(command)[:300]}\nfailed: {(done.stderr or done.stdout).strip()[-1500:]}"
        )
    return done.stdout


def _marks(name: str) -> list[str]:
    """The words that end the command line of a machine's first process, whichever Python and checkout started it."""
    return ["raygen-cluster-machine", str(STATE), name]


def _number_in_namespace(process: Path) -> int:
    """The process's id in the innermost namespace that it is in."""
    line = next(line for line in (process / "status").read_text().splitlines() if line.startswith("NSpid:"))
    return int(line.split()[-1])
