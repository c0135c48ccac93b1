"""What would take too much memory or time: refused in little of both, with the reason (row 15)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from raygen.kube import TRAINING_JOBS, Connection
from tests.cluster.apiserver import ApiServer
from tests.cluster.operator import asking
from tests.cluster.operator.asking import job_of, refused, says
from tests.cluster.operator.stub import Harmed, Process, Surroundings
from tests.jobs import job_document

RAYGEN = Path(sys.executable).with_name("raygen")
MEASURED = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([done.returncode, done.stdout, used.ru_utime + used.ru_stime, used.ru_maxrss]))
"""
"""Runs a command from a small process, of whose own memory the command's first moments are a copy."""


def measured(*command: str) -> tuple[int, str, float, int]:
    """Of a command its exit code, what it says, seconds of its processor, and its memory in KiB."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *command],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env={key: text for key, text in os.environ.items() if key != "KUBECONFIG"},
    )
    code, said, seconds, memory = json.loads(done.stdout)
    return code, said, seconds, memory


def bomb() -> str:
    """Nine levels of nine aliases each: under a kilobyte, and 387 million values."""
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    return "\n".join(levels) + "\n"


def too_large() -> str:
    document = job_document()
    document["metadata"]["annotations"] = {f"a/b{number}": "x" * 4000 for number in range(400)}
    return yaml.safe_dump(document)


LARGE: dict[str, tuple[Callable[[], str], tuple[str, ...]]] = {
    "aliases": (bomb, ("more than 100000 values", "aliases")),
    "a megabyte and a half": (too_large, ("larger than 1 MiB", "A job file has a few kilobytes")),
    "nesting": (lambda: "[" * 100_000, ("nested more than 100 levels deep",)),
}


@pytest.mark.parametrize("case", LARGE)
@pytest.mark.parametrize("command", ["validate", "submit"])
def test_a_job_file_that_would_be_huge_is_refused_in_bounded_time_and_memory(
    api: ApiServer, admin: Connection, team: str, tmp_path: Path, command: str, case: str
) -> None:
    make, words = LARGE[case]
    (tmp_path / "job.yaml").write_text(make())
    options = ["--kubeconfig", str(api.kubeconfig), "-n", team] if command == "submit" else []
    code, said, seconds, memory = measured(str(RAYGEN), command, str(tmp_path / "job.yaml"), *options)
    assert code == 2, said
    for word in (*words, "job.yaml"):
        assert word in said
    assert "Traceback" not in said
    assert len(said) < 2000
    assert seconds < 20
    assert memory < 200 * 1024
    assert admin.list(TRAINING_JOBS, team)[0] == []


def test_a_spec_of_a_megabyte_and_a_half_is_refused_by_field(admin: Connection, team: str) -> None:
    document = job_of(team)
    document["spec"]["output"]["uri"] = f"s3://runs/{team}/" + "x" * 1_500_000
    before = time.monotonic()
    error = refused(admin, document)
    assert says(error, "spec.output.uri", "may not be more than 1024")
    assert len(str(error)) < 5000
    assert time.monotonic() - before < 5


def test_a_job_that_is_too_large_to_travel_is_told_so_by_the_operator(admin: Connection, team: str) -> None:
    """The API server takes up to 1.5 MB; what the head pod gets by its environment is bounded by the operator."""
    asking.put(admin, asking.runtime_of(f"{team}-runtime"))
    sources = [{"uri": f"s3://datasets/{number:0500d}"} for number in range(500)]
    document = job_of(team, runtimeRef={"name": f"{team}-runtime"}, data__train__sources=sources)
    admin.create(TRAINING_JOBS, team, document)
    Process(Harmed(admin), team).work()
    world = Surroundings(admin, team)
    told = asking.condition(world, "Validated")
    assert (told["status"], told["reason"]) == ("False", "NotAllowed")
    for word in ("spec", "bytes", "must be at most 65536 bytes", "Name folders or globs"):
        assert word in told["message"]
    assert [one["message"] for one in asking.warnings(world)] == [told["message"]]
    assert world.ray_jobs() == []
