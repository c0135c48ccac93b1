"""The commands that README.md and docs/data.md give for data, as they stand there; what trains, for two steps."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FEW = ("training.duration.steps=2", "evaluation={}", "checkpoint.keepBest=null")


def commands(path: Path, after: str) -> list[list[str]]:
    """The lines of a page's shell blocks behind a heading, up to the next one of its level."""
    section = f"\n{path.read_text()}".split(f"\n{after}\n", 1)[1].split("\n" + after.split(" ")[0] + " ", 1)[
        0
    ]
    blocks = re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


@pytest.mark.long
def test_the_commands_of_the_pages_do_what_they_say(tmp_path: Path) -> None:
    (tmp_path / "examples").mkdir()
    for path in (ROOT / "examples").iterdir():
        (tmp_path / "examples" / path.name).symlink_to(path)
    # What is prepared lies beside the job file, whose folder is looked for where its name is.
    for name in ("05-prepare-text.yaml", "06-images-from-tar.yaml"):
        (tmp_path / "examples" / name).unlink()
        (tmp_path / "examples" / name).write_text((ROOT / "examples" / name).read_text())
    page = commands(ROOT / "docs" / "data.md", "# Data")
    readme = commands(ROOT / "README.md", "## Data that is large or dirty")
    said = {}
    for command in [*readme, *(one for one in page if one not in readme)]:
        assert command[0] == "raygen"
        few = [word for setting in FEW for word in ("--set", setting)] if command[1] == "train" else []
        done = subprocess.run(
            [sys.executable, "-m", *command, *few], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{shlex.join(command)}\n{done.stderr}"
        said[shlex.join(command)] = done.stdout
    assert "7,222" in said["raygen data inspect examples/data/speeches.jsonl.gz"]
    assert "classes" in said["raygen data inspect examples/data/digits"]
    assert "fingerprint" in said["raygen prepare examples/05-prepare-text.yaml"]
    assert "equal" in said["raygen data verify runs/speeches"]
