"""Every write in one whole life of a job, as a file that a change of the operator must leave alone.

RAYGEN_GOLDEN=write writes tests/golden/operator-life.json again, which a commit has to explain.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from raygen.controller.conditions import stamp
from raygen.operator.attempts.model import Plan
from raygen.operator.rayjob.trouble import Trouble
from tests.unit.operator.attempts.world import World, job, runtime

GOLDEN = Path(__file__).resolve().parents[3] / "golden" / "operator-life.json"


class Recorded(World):
    """A world that keeps every write, in the order in which it is made.

    Attributes:
        made: The writes since the last step.
    """

    def __init__(self) -> None:
        document = job(attempts={"limit": 3}, scale={"workers": 2}, ttlSecondsAfterFinished=600)
        super().__init__(document, runtime(headLostSeconds=300))
        self.made: list[dict[str, Any]] = []

    @property
    def job_spec(self) -> dict[str, Any]:
        assert self.job is not None
        spec: dict[str, Any] = self.job["spec"]
        return spec

    def _do(self, made: Plan) -> None:
        if made.create is not None:
            self.made.append({"create": made.create})
        if made.status is not None:
            self.made.append({"status": made.status})
        for one in made.delete:
            self.made.append({"delete": [one.resource.kind, one.namespace, one.name, one.uid]})
        for note in made.notes:
            self.made.append({"event": ["Warning" if note.warning else "Normal", note.reason, note.message]})
        super()._do(made)
        # The bodies are the plan's own, and the next plan must not change them.
        self.made = json.loads(json.dumps(self.made))


def life(world: Recorded) -> list[tuple[str, Callable[[], object]]]:
    """What everybody but the operator does, by name, in order."""

    def runtime_goes() -> None:
        world.runtime = None

    def runtime_comes() -> None:
        world.runtime = runtime(headLostSeconds=300)

    def worker_lacks_memory() -> None:
        killed = {"name": "ray", "state": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}
        world.pod("tiny-r1-worker", 1, "worker", containerStatuses=[killed])
        world.driver_says(1, state="Failed", reason="RunError", message="workers were lost", exitCode=1)

    def head_goes() -> None:
        del world.pods["tiny-r1-head"]

    def head_comes() -> None:
        world.pod("tiny-r1-head", 1, "head")["metadata"]["uid"] = "uid-second-head"

    def more_steps() -> None:
        world.edit(training=world.job_spec["training"] | {"duration": {"steps": 120}})

    return [
        ("the job is submitted, and its runtime is missing", runtime_goes),
        ("the runtime comes", runtime_comes),
        ("nothing for a while", lambda: world.wait(90)),
        ("its pods run", lambda: world.running(1)),
        ("its driver makes steps", lambda: world.running(1, step=10)),
        ("its head pod is lost", head_goes),
        ("nothing for a while", lambda: world.wait(30)),
        ("another head pod comes", head_comes),
        ("its driver makes steps again", lambda: (world.wait(30), world.running(1, step=21, first=11))),
        ("a worker runs out of memory", worker_lacks_memory),
        ("its RayJob has failed", lambda: world.over(1, "FAILED", message="exit code 1")),
        ("the second attempt makes steps", lambda: (world.wait(60), world.running(2, step=25, first=21))),
        ("the user suspends it", lambda: world.edit(suspend=True)),
        ("the RayJob is gone, and its pods stop", lambda: world.gone(2, with_pods=False)),
        ("the pods are gone", lambda: (world.wait(20), world.pods.clear())),
        ("the user resumes it", lambda: world.edit(suspend=False)),
        ("the third attempt makes steps", lambda: (world.wait(60), world.running(3, step=60, first=26))),
        ("the user changes it", more_steps),
        ("the RayJob and its pods are gone", lambda: (world.wait(20), world.gone(3))),
        ("its driver makes steps", lambda: (world.wait(60), world.running(4, step=99, first=61))),
        ("its driver is done", lambda: world.driver_says(4)),
        ("its RayJob has succeeded", lambda: world.over(4)),
        ("its time to live is over", lambda: world.wait(600)),
    ]


def test_a_whole_life_writes_what_it_always_wrote() -> None:
    world, told = Recorded(), []
    for happens, act in life(world):
        act()
        if "submitted" in happens or "resumes" in happens:
            obstacle = Trouble("CreateRefused", "The RayJob is refused: exceeded quota.")
            world.look(obstacle=obstacle)
        while world.job is not None:
            before = len(world.writes)
            world.look()
            if len(world.writes) == before:
                break
        told.append({"happens": happens, "at": stamp(world.now), "writes": world.made})
        world.made = []
    assert world.job is None, "the last write deletes the job"
    if os.environ.get("RAYGEN_GOLDEN") == "write":
        GOLDEN.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert told == json.loads(GOLDEN.read_text(encoding="utf-8"))
