"""RayJobs that Kueue keeps from running: that time is nobody's fault and no time of activity."""

from __future__ import annotations

from tests.unit.operator.attempts.world import World, job


def queued(**changes: object) -> World:
    world = World(job(scheduling={"queueName": "research"}, **changes))
    world.settle()
    return world


def hold(world: World, *, held: bool) -> None:
    world.ray_jobs["tiny-r1"]["spec"]["suspend"] = held
    if held:
        world.pods.clear()
        world.ray_jobs["tiny-r1"]["status"] |= {"jobDeploymentStatus": "Suspended"}
    world.settle()


def test_a_job_that_is_preempted_waits_for_as_long_as_it_takes() -> None:
    world = queued()
    world.running(step=10)
    world.settle()
    assert world.condition("Running") == ("True", "Training")
    hold(world, held=True)
    assert world.condition() == ("Unknown", "Queued")
    assert world.condition("Running") == ("False", "NotTraining")
    assert "driver" not in world.status
    world.wait(100_000)
    world.settle()
    assert world.condition() == ("Unknown", "Queued")
    assert world.status.get("failedAttempts", 0) == 0
    hold(world, held=False)
    assert world.condition() == ("Unknown", "Starting"), "no pod was lost that has yet to come"
    world.running()
    world.settle()
    assert world.condition() == ("Unknown", "Starting")
    assert not [note for note in world.notes if note.warning]
    assert "trouble" not in world.status["attempts"][0]
    world.wait(20)
    world.running(step=12, first=11)
    world.settle()
    assert world.condition() == ("Unknown", "Training")
    assert len(world.status["attempts"]) == 1


def test_the_deadline_counts_from_when_there_is_quota() -> None:
    world = queued(activeDeadlineSeconds=3600)
    hold(world, held=True)
    assert "startTime" not in world.status
    world.wait(10_000)
    world.settle()
    assert world.condition() == ("Unknown", "Queued")
    hold(world, held=False)
    world.running(step=10)
    world.settle()
    world.wait(3590)
    assert world.settle().again == 10
    world.wait(10)
    world.settle()
    world.gone()
    world.settle()
    assert world.condition() == ("False", "DeadlineExceeded")


def test_a_ray_job_that_somebody_suspended_by_hand_is_named() -> None:
    world = World()
    world.settle()
    hold(world, held=True)
    assert world.condition() == ("Unknown", "Queued")
    assert "spec.suspend of its RayJob tiny-r1 is true" in world.message


def test_a_job_in_the_queue_can_be_suspended_and_changed() -> None:
    world = queued()
    hold(world, held=True)
    world.edit(suspend=True)
    world.settle()
    assert world.writes[-1] == "delete tiny-r1"
    world.gone()
    world.settle()
    assert world.condition("Suspended") == ("True", "Suspended")
