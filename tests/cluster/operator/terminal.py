"""Commands of documents, and a terminal in which they run as they stand there."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from testcluster import tools

from tests.cluster.apiserver import ROOT

SECONDS = 60.0
ELSEWHERE = {"logs": "tests/cluster/test_trainingjob.py"}
"""Verbs of raygen that need pods, and where they are run."""
REFUSED = {True: "Ask the administrator for the right to ", False: "is forbidden"}
"""What somebody without a right reads: from raygen, and from kubectl."""


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """Language and text of a document's fenced blocks; one in a list item is moved to the left."""
    for indent, language, block in re.findall(
        r"^( *)```(sh|bash)\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL
    ):
        yield language, re.sub(rf"^{indent}", "", block, flags=re.MULTILINE)


def commands(path: Path, section: str = "") -> list[str]:
    """The commands of a document for clusters: each command of a `sh` block, and a `bash` block as a whole."""
    text = path.read_text()
    if section:
        text = text.split(f"\n## {section}\n")[1].split("\n## ")[0]
    found: list[str] = []
    for language, block in blocks(text):
        found += [block] if language == "bash" else block.replace("\\\n", "").splitlines()
    return [re.sub(r" {2,}", " ", one) if "\n" not in one else one for one in found if one]


@dataclass(frozen=True)
class Step:
    """What belongs to a command.

    Attributes:
        before: What has happened before it.
        meanwhile: What happens while it runs, once it has said `hears`.
        code: Its exit code.
        says: What is in its output.
        until: It runs for good, until it has said this; then it gets Ctrl-C.
        administrator: It is an administrator's: somebody else is refused, and told which right is missing.
    """

    before: Callable[[], object] = lambda: None
    meanwhile: Callable[[], object] = lambda: None
    hears: str = ""
    code: int = 0
    says: str = ""
    until: str = ""
    administrator: bool = False


class Shell:
    """A user's terminal, in the root of the checkout.

    Args:
        kubeconfig: The user's.
        folder: For its files.
        administrator: The terminal in which an administrator's commands are run. Default: this one.
    """

    def __init__(self, kubeconfig: Path, folder: Path, administrator: Shell | None = None) -> None:
        self._administrator = administrator
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "kubectl").symlink_to(tools.binary("kubectl"))
        config = folder / "config"
        config.write_bytes(kubeconfig.read_bytes())
        path = [str(folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
        self._environment = os.environ | {
            "HOME": str(folder),
            "KUBECONFIG": str(config),
            "PATH": ":".join(path),
        }

    def run(self, command: str, step: Step) -> str:
        """Runs one command; gives what it printed."""
        if step.administrator and self._administrator is not None:
            is_raygen = "raygen" in command
            self.run(command, Step(code=1 + is_raygen, says=REFUSED[is_raygen]))
            return self._administrator.run(command, step)
        step.before()
        process = subprocess.Popen(
            ["bash", "-c", command],
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        said = ""
        try:
            said += read(process, step.hears)
            step.meanwhile()
            if step.until:
                said += read(process, step.until)
                os.killpg(process.pid, signal.SIGINT)
            said += process.communicate(timeout=SECONDS)[0]
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        if not step.until:
            assert process.returncode == step.code, f"{command}\n{said}"
        assert step.says in said, f"{command}\n{said}"
        assert "Traceback" not in said, said
        return said

    def may(self, verb: str, kind: str, namespace: str) -> bool:
        """Whether the user has a right."""
        asked = f"kubectl auth can-i {verb} {kind} --namespace {namespace} || true"
        return self.run(asked, Step()).split()[-1] == "yes"

    def follow(self, document: list[str], steps: dict[str, Step]) -> dict[str, str]:
        """Runs all commands of a document; each has its step, or succeeds on its own."""
        assert steps.keys() - set(document) == set(), "steps of commands that are not in the document"
        said: dict[str, str] = {}
        for command in document:
            words = shlex.split(command, comments=True)
            if words[:1] == ["raygen"] and words[1] in ELSEWHERE:
                assert f'"{words[1]}"' in (ROOT / ELSEWHERE[words[1]]).read_text()
                continue
            said[command] = self.run(command, steps.get(command, Step()))
        return said


def read(process: subprocess.Popen[str], words: str) -> str:
    """What a process says, up to the line with these words."""
    said = ""
    while words not in said and process.stdout is not None:
        line = process.stdout.readline()
        assert line, f"{words!r} is not said, but:\n{said}"
        said += line
    return said
