"""The scripts of findings/ are whole: what they pin, what their heads say, and that the README lists them. None is run."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from packaging.requirements import Requirement

FINDINGS = Path(__file__).resolve().parents[2] / "findings"
SCRIPTS = sorted(set(FINDINGS.glob("*.sh")) - {FINDINGS / "lib.sh", FINDINGS / "run.sh"})
README = (FINDINGS / "README.md").read_text()


def head(script: Path) -> str:
    """The comment that a script begins with, as one line."""
    lines = script.read_text().splitlines()[1:]
    last = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    return " ".join(line.removeprefix("#").strip() for line in lines[:last])


def pins(script: Path) -> list[Requirement]:
    command = re.search(r"^packages (.*)$", script.read_text(), re.MULTILINE)
    assert command, "installs packages by `packages`"
    return [Requirement(word) for word in shlex.split(command[1])]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_finding_is_whole(script: Path) -> None:
    text = script.read_text()
    assert os.access(script, os.X_OK)
    assert text.startswith("#!/usr/bin/env bash\n")
    assert "\nset -euo pipefail\n" in text
    for part in ("Versions:", "Source:", "raygen:"):
        assert f" {part} " in head(script)
    compile(text.split("<<'PY'\n")[1].removesuffix("PY\n"), script.name, "exec")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_finding_pins_what_it_names(script: Path) -> None:
    pinned = {}
    for requirement in pins(script):
        [specifier] = requirement.specifier
        assert specifier.operator == "=="
        pinned[requirement.name.lower()] = specifier.version
    versions = re.search(r"Versions: (.*?) Source:", head(script))
    assert versions
    named = dict(re.findall(r"([A-Za-z0-9-]+) ([0-9]+\.[0-9]+(?:\.[0-9]+)*)", versions[1]))
    assert named
    for name, version in named.items():
        assert pinned.get(name.lower(), pinned.get(f"{name}-skinny")) == version


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_the_readme_has_a_findings_title_and_versions(script: Path) -> None:
    rows = [line for line in README.splitlines() if line.startswith(f"| [{script.stem}]({script.name}): ")]
    assert len(rows) == 1
    _, finding, versions, ours, _ = (cell.strip() for cell in re.split(r"(?<!\\)\|", rows[0]))
    assert head(script).startswith(f"{finding.partition('): ')[2]}. ")
    pinned = {f"{pin.name} {next(iter(pin.specifier)).version}" for pin in pins(script)}
    assert versions
    assert set(versions.split(", ")) <= pinned
    assert ours


def test_the_readme_lists_no_other() -> None:
    listed = re.findall(r"^\| \[.*?\]\((.*?)\)", README, re.MULTILINE)
    assert sorted(listed) == [script.name for script in SCRIPTS]


def test_all_scripts_are_bash() -> None:
    bash = shutil.which("bash")
    assert bash
    for script in FINDINGS.glob("*.sh"):
        done = subprocess.run([bash, "-n", str(script)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
