"""Sweeps as the operator looks after them: their pods, what runtimes refuse, and their lives from start to end and on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from raygen.controller.conditions import stamp
from raygen.operator.rayjob.render import render
from raygen.operator.sweep import WORK
from raygen.operator.sweep.asked import pods, refusals
from raygen.spec.names import JOB_LABEL, JOB_VARIABLE, KIND_LABEL, STATUS_VARIABLE, TRIAL_RESOURCE
from raygen.spec.runtime import RaygenRuntime, parse_runtime
from raygen.spec.schema.validate import parse_kind
from raygen.spec.sweep.status import SweepStatus
from raygen.spec.sweep.sweep import Sweep
from tests.sweeps import RATE, sweep_document
from tests.unit.operator.attempts.world import START, World, runtime

Object = dict[str, Any]


def a_sweep(**changes: Any) -> Object:
    """A Sweep as the cluster has it."""
    document = sweep_document(
        **{
            "template__spec__data__train": {"sources": [{"uri": "s3://datasets/text.txt"}]},
            "output": {"uri": "s3://runs/team/"},
            **changes,
        }
    )
    document["metadata"] = {
        "name": "tiny",
        "namespace": "team",
        "uid": "uid-tiny",
        "generation": 1,
        "resourceVersion": "1",
        "creationTimestamp": stamp(START),
    }
    return document


def read(document: Object) -> Sweep:
    return parse_kind(Sweep, document | {"metadata": {"name": "tiny"}})


def granted(**changes: Any) -> RaygenRuntime:
    return parse_runtime(runtime(**changes))


def refused(document: Object, **changes: Any) -> list[str]:
    found = refusals(read(document), granted(**changes), "team", len(json.dumps(document)))
    return [one.path for one in found]


def made(document: Object, **changes: Any) -> Object:
    grants = granted(**changes)
    return render(document, pods(read(document), grants), grants, 2)


def test_a_pod_for_each_trial_that_trains_with_what_the_template_asks_for() -> None:
    scale = {"cpusPerWorker": 2, "memoryPerWorker": "3Gi", "gpusPerWorker": 1}
    ray_job = made(a_sweep(concurrency=3, template__spec__scale=scale))
    assert ray_job["metadata"]["name"] == "tiny-s2"
    assert ray_job["metadata"]["labels"][JOB_LABEL] == "tiny"
    assert ray_job["metadata"]["labels"][KIND_LABEL] == "Sweep"
    assert ray_job["metadata"]["ownerReferences"][0]["kind"] == "Sweep"
    assert ray_job["spec"]["entrypoint"] == "raygen sweep env:RAYGEN_JOB"
    (group,) = ray_job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    assert group["replicas"] == group["minReplicas"] == 3
    (container,) = group["template"]["spec"]["containers"]
    assert container["resources"]["requests"] == {"cpu": "2", "memory": "3Gi", "nvidia.com/gpu": "1"}


def test_trials_that_share_a_pod_have_it_in_equal_parts() -> None:
    scale = {"cpusPerWorker": 2, "memoryPerWorker": "3Gi", "gpusPerWorker": 1}
    ray_job = made(a_sweep(concurrency=5, trialsPerWorker=2, template__spec__scale=scale))
    (group,) = ray_job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    assert group["replicas"] == 3
    (container,) = group["template"]["spec"]["containers"]
    assert container["resources"]["requests"] == {
        "cpu": "4",
        "memory": str(6 * 2**30),
        "nvidia.com/gpu": "2",
    }


def test_trials_of_several_workers_have_pods_for_each_and_their_drivers_a_place_beside_them() -> None:
    document = a_sweep(concurrency=3, trialsPerWorker=2, template__spec__scale={"workers": 4})
    (group,) = made(document)["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    assert group["replicas"] == 8
    assert json.loads(json.loads(group["rayStartParams"]["resources"])) == {TRIAL_RESOURCE: 2}
    assert refused(document, ceilings={"workers": 7}) == ["spec.concurrency"]


def test_the_driver_gets_the_sweep_with_the_cores_that_trials_have_and_where_to_tell() -> None:
    ray_job = made(a_sweep(suspend=False, attempts={"limit": 2}), defaults={"cpusPerWorker": 3})
    head = ray_job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    variables = {one["name"]: one["value"] for one in head["containers"][0]["env"]}
    travelled = parse_kind(Sweep, json.loads(variables[JOB_VARIABLE]))
    assert travelled.spec.template.spec.scale.cpus_per_worker == 3
    assert "attempts" not in json.loads(variables[JOB_VARIABLE])["spec"]
    assert json.loads(variables[STATUS_VARIABLE]) == {
        "kind": "Sweep",
        "plural": "sweeps",
        "name": "tiny",
        "namespace": "team",
        "uid": "uid-tiny",
        "rayJob": "tiny-s2",
    }


def test_what_a_runtime_does_not_allow_is_named_by_its_place_in_the_sweep() -> None:
    assert refused(a_sweep()) == []
    assert refused(a_sweep(concurrency=3), ceilings={"workers": 2}) == ["spec.concurrency"]
    assert refused(a_sweep(concurrency=4, trialsPerWorker=2), ceilings={"workers": 2}) == []
    gpus = a_sweep(concurrency=3, template__spec__scale={"gpusPerWorker": 1})
    assert refused(gpus, ceilings={"gpus": 2}) == ["spec.template.spec.scale.gpusPerWorker"]
    assert refused(a_sweep(output={"uri": "s3://elsewhere/"})) == ["spec.output.uri"]
    elsewhere = a_sweep(template__spec__data__train={"sources": [{"uri": "s3://elsewhere/a.txt"}]})
    assert refused(elsewhere) == ["spec.template.spec.data.train.sources[0].uri"]
    assert refused(a_sweep(warmStart=["s3://elsewhere/s"])) == ["spec.warmStart[0]"]
    assert refused(a_sweep(), allowedNamespaces=["other"]) == ["spec.runtimeRef.name"]
    words = {"text": {"blockList": {"uri": "s3://elsewhere/words.txt"}}}
    prepared = {
        "template__spec__data__cleaning": words,
        "template__spec__preparation": {"uri": "s3://runs/team/p/"},
    }
    assert refused(a_sweep(**prepared)) == ["spec.template.spec.data.cleaning.text.blockList.uri"]


def test_functions_are_custom_code() -> None:
    document = a_sweep(objectives=[{"entryPoint": "mine:score", "goal": "Minimize"}])
    assert refused(document) == ["spec.objectives[0].entryPoint"]
    assert refused(document, allowCustomCode=True) == []


@pytest.mark.parametrize(
    "path",
    [
        "data.train.sources[0].uri",
        "spec.data.train.sources[0].uri",
        "data[train].sources[0].uri",
        "data.validation",
        "data",
        "preparation.uri",
    ],
)
def test_values_cannot_bring_places_that_the_template_would_be_refused(path: str) -> None:
    value: object = "s3://elsewhere/b.txt"
    document = a_sweep(parameters=[{"path": path, "type": "Choice", "values": [value, value]}])
    assert any(one.startswith("spec.parameters") for one in refused(document))


def test_numbers_of_data_may_be_searched() -> None:
    path = "data.train.sources[0].weight"
    document = a_sweep(parameters=[{"path": path, "type": "Real", "low": 0.1, "high": 1.0}])
    assert refused(document) == []


def world(**changes: Any) -> World:
    return World(a_sweep(**changes), work=WORK)


def running(seen: World, attempt: int = 1, *, trials: int = 1, step: int = 0) -> None:
    """The driver says that trials train."""
    seen.running(attempt)
    assert seen.job is not None
    states = dict.fromkeys(("waiting", "completed", "stopped", "failed"), 0)
    seen.job.setdefault("status", {})["progress"] = states | {
        "time": stamp(seen.now),
        "attempt": attempt,
        "rayJob": seen.name(attempt),
        "firstStep": step + 1,
        "step": step,
        "trials": trials,
        "running": trials,
        "said": "0 of 4",
    }


def test_a_sweep_runs_to_its_end_and_its_status_fits_the_definition() -> None:
    seen = world()
    seen.settle()
    assert list(seen.ray_jobs) == ["tiny-s1"]
    assert seen.condition() == ("Unknown", "Starting")
    assert seen.status["run"] == "s3://runs/team/tiny"
    running(seen)
    seen.settle()
    assert seen.condition() == ("Unknown", "Training"), "trials train before one of them is evaluated"
    assert seen.message == "Attempt 1 trains."
    SweepStatus.model_validate_json(json.dumps(seen.status))
    seen.driver_says(message="Succeeded after 4 trials.", reason="BudgetUsedUp")
    seen.over()
    seen.settle()
    assert seen.condition() == ("True", "BudgetUsedUp")
    SweepStatus.model_validate_json(json.dumps(seen.status))


def test_a_lost_worker_leaves_the_others_training() -> None:
    seen = world(concurrency=2)
    seen.settle()
    running(seen, trials=2)
    seen.settle()
    seen.wait(20)
    del seen.pods["tiny-s1-worker-1"]
    seen.settle()
    assert seen.condition() == ("Unknown", "Training")


def test_one_that_has_ended_goes_on_once_it_is_given_more() -> None:
    seen = world()
    seen.settle()
    running(seen)
    seen.settle()
    seen.driver_says(reason="BudgetUsedUp")
    seen.over()
    seen.settle()
    assert "completionTime" in seen.status
    seen.edit(ttlSecondsAfterFinished=3600)
    seen.settle()
    assert seen.condition() == ("True", "BudgetUsedUp"), "that changes nothing of what is searched"
    seen.edit(budget={"trials": 8})
    seen.settle()
    assert seen.condition() == ("Unknown", "Starting")
    assert "tiny-s2" in seen.ray_jobs
    assert "completionTime" not in seen.status
    assert [note.reason for note in seen.notes if note.reason == "Reopened"] == ["Reopened"]
    seen.settle()
    assert seen.status["attemptCount"] == 2


def test_a_change_that_comes_as_it_ends_is_not_lost() -> None:
    seen = world()
    seen.settle()
    running(seen)
    seen.settle()
    seen.wait(60)
    seen.edit(budget={"trials": 40})
    seen.driver_says(reason="BudgetUsedUp")
    seen.over()
    seen.settle()
    assert "tiny-s2" in seen.ray_jobs, "the driver has ended with 4 trials, and 40 are asked for"
    assert seen.condition() == ("Unknown", "Starting")


def test_going_on_again_and_again_is_no_failure_to_wait_for() -> None:
    seen = world()
    for attempt in range(1, 6):
        seen.settle()
        assert seen.name(attempt) in seen.ray_jobs, "it begins at once"
        running(seen, attempt)
        seen.settle()
        seen.driver_says(attempt, reason="BudgetUsedUp")
        seen.over(attempt)
        seen.settle()
        assert seen.condition() == ("True", "BudgetUsedUp")
        seen.edit(budget={"trials": 4 + attempt})


def test_too_many_failed_trials_are_final() -> None:
    seen = world()
    seen.settle()
    running(seen)
    seen.settle()
    seen.driver_says(state="Failed", reason="TrialsFailedError", message="6 of 6 have failed", exitCode=1)
    seen.over(status="FAILED")
    seen.settle()
    assert seen.condition() == ("False", "TrialsFailedError")
    seen.edit(failedTrials=9)
    seen.settle()
    assert seen.condition() == ("Unknown", "Starting")


def test_a_space_of_faults_is_not_searched_by_the_operator() -> None:
    wrong = [{"path": "model.transformer.heads", "type": "Choice", "values": [3, 5, 7]}]
    seen = world(parameters=wrong)
    seen.settle()
    assert list(seen.ray_jobs) == ["tiny-s1"], "its driver will say so"


def test_a_change_while_it_runs_begins_another_attempt_that_goes_on() -> None:
    seen = world()
    seen.settle()
    running(seen)
    seen.settle()
    seen.wait(30)
    seen.edit(concurrency=3)
    seen.settle()
    assert seen.condition() == ("Unknown", "Stopping")
    seen.gone()
    seen.settle()
    assert seen.ray_jobs["tiny-s2"]["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["replicas"] == 3
    assert seen.status["attempts"][0]["cause"] == "SpecChanged"


def test_parameters_that_do_not_fit_the_template_are_told_before_anything_runs() -> None:
    seen = world(parameters=[{"path": RATE, "type": "Real", "low": -1.0, "high": 1.0}])
    seen.settle()
    assert seen.ray_jobs == {}
    assert seen.condition() == ("Unknown", "Invalid")
    assert "The sweep has faults." in seen.message


def test_suspended_it_says_from_what_it_goes_on() -> None:
    seen = world(suspend=True)
    seen.settle()
    assert seen.condition() == ("Unknown", "Suspended")
    assert "the sweep goes on from its log" in seen.message
