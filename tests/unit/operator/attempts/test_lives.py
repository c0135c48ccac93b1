"""Any life of a job: whatever happens in whatever order, with the operator ending after any write."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from raygen.controller.conditions import find
from raygen.operator.attempts.endings import is_over
from raygen.spec.status import TrainingJobStatus
from tests.budget import examples
from tests.unit.operator.attempts.world import CrashError, World, job, runtime

EVENTS = (
    "runs",
    "progress",
    "worker out of memory",
    "head away",
    "drained",
    "fails",
    "fails for good",
    "succeeds",
    "ends without a word",
    "deleted by hand",
    "suspend",
    "resume",
    "edit",
    "no runtime",
    "runtime",
    "gone",
    "wait",
    "wait long",
)


def happen(world: World, event: str) -> None:
    attempt = max((int(name.rpartition("r")[2]) for name in world.ray_jobs), default=0)
    there = world.ray_jobs.get(world.name(attempt))
    alive = there is not None and not is_over(there) and "deletionTimestamp" not in there["metadata"]
    if event == "wait":
        world.wait(20)
    elif event == "wait long":
        world.wait(2000)
    elif event == "suspend":
        world.edit(suspend=True)
    elif event == "resume":
        world.edit(suspend=False)
    elif event == "edit":
        assert world.job is not None
        steps = world.job["spec"]["training"]["duration"]["steps"] + 1
        world.edit(training=world.job["spec"]["training"] | {"duration": {"steps": steps}})
    elif event == "no runtime":
        world.runtime = None
    elif event == "runtime":
        world.runtime = runtime(headLostSeconds=100)
    elif event == "gone" and there is not None and "deletionTimestamp" in there["metadata"]:
        world.gone(attempt)
    elif alive:
        act(world, event, attempt)


def act(world: World, event: str, attempt: int) -> None:
    name = world.name(attempt)
    if event == "runs":
        world.running(attempt)
    elif event == "progress":
        world.running(attempt, step=world.now.minute + 1)
    elif event == "worker out of memory":
        killed = {"name": "ray", "state": {"terminated": {"reason": "OOMKilled"}}}
        world.pod(f"{name}-worker", attempt, "worker", containerStatuses=[killed])
    elif event == "head away":
        world.pods.pop(f"{name}-head", None)
    elif event == "drained":
        gone = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
        world.pod(f"{name}-head", attempt, "head", conditions=[gone])
    elif event == "fails":
        world.driver_says(attempt, state="Failed", reason="RunError", exitCode=1, message="lost")
        world.over(attempt, "FAILED")
    elif event == "fails for good":
        world.driver_says(attempt, state="Failed", reason="DataError", exitCode=2, message="no data")
        world.over(attempt, "FAILED")
    elif event == "succeeds":
        world.driver_says(attempt)
        world.over(attempt)
    elif event == "ends without a word":
        world.over(attempt, "FAILED", message="Job entrypoint command failed with exit code 137")
    elif event == "deleted by hand":
        world.gone(attempt)


def look(world: World, crash: int) -> None:
    """Looks until all is written; the operator ends after its `crash`-th write, and begins anew."""
    world.crash_after = len(world.writes) + crash if crash else None
    for _ in range(3):
        try:
            world.settle()
        except CrashError:
            world.crash_after = None
            continue
        return


@examples(400)
@given(
    st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 3)), max_size=25),
    st.fixed_dictionaries({"limit": st.integers(1, 3)}),
    st.sampled_from([None, {"uri": "s3://runs/team/prepared/"}]),
)
def test_any_life_keeps_its_promises(
    events: list[tuple[str, int]], attempts: dict[str, Any], preparation: dict[str, Any] | None
) -> None:
    world = World(job(attempts=attempts, preparation=preparation), runtime(headLostSeconds=100))
    look(world, 0)
    ended: dict[str, Any] | None = None
    count = 0
    for event, crash in events:
        happen(world, event)
        look(world, crash)
        status = world.status
        TrainingJobStatus.model_validate_json(_json(status))
        alive = [name for name, one in world.ray_jobs.items() if not is_over(one)]
        assert len(alive) <= 1, "two RayJobs of one job at the same time"
        assert status.get("attemptCount", 0) >= count
        count = status.get("attemptCount", 0)
        assert status.get("failedAttempts", 0) <= attempts["limit"]
        numbers = [one["number"] for one in status.get("attempts", ())]
        assert numbers == sorted(set(numbers))
        assert all("ended" in one and "cause" in one for one in status.get("attempts", ())[:-1])
        found = find(status["conditions"], "Succeeded")
        assert found is not None
        assert world.job is not None
        summary = dict(found)
        assert summary["message"]
        # Which goes on with the edits of a job that has ended.
        assert summary.pop("observedGeneration") == world.job["metadata"]["generation"]
        if ended is not None:
            assert summary == ended, "what has ended stays so"
        if summary["status"] != "Unknown":
            ended = summary
            assert "completionTime" in status
    creates = [write for write in world.writes if write.startswith("create")]
    told = world.status.get("attemptCount", 0)
    made = {f"create {world.name(number)}" for number in range(1, told + 1)}
    assert set(creates) <= made, "no attempt was made that is not told of"


def _json(status: dict[str, Any]) -> str:
    return json.dumps({key: value for key, value in status.items() if value is not None})
