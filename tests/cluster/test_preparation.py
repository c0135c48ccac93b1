"""A TrainingJob that prepares its data: in pods for that, one of which is killed, and then trains from what they wrote, which yet
another pod reads for the worker.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from raygen.spec.names import READING_GROUP
from tests.cluster.api import ROOT, until
from tests.cluster.trainingjob import NAMESPACE, Raygen

SOURCES = 24
STEPS = 20
PLACE = f"{NAMESPACE}/shakespeare"
PREPARERS = "ray.io/group=preparation"
READERS = f"ray.io/group={READING_GROUP}"


def overrides(place: str) -> tuple[str, ...]:
    """What makes the sample short, and has it prepare a text from many files."""
    sources = [{"uri": f"s3://datasets/parts/{number:02}.txt"} for number in range(SOURCES)]
    return (
        f"data.train.sources={json.dumps(sources)}",
        f'preparation={{"uri": "{place}", "workers": 2, "memoryPerWorker": "2Gi"}}',
        f"training.duration.steps={STEPS}",
        f"evaluation.everySteps={STEPS}",
        "evaluation.samples=null",
        # A hundredth takes seconds to evaluate, a tenth of so much text minutes.
        'data.validation={"fraction": 0.01}',
        "scale.workers=1",
        "output.run=prepared",
    )


def fill(raygen: Raygen) -> None:
    """Puts the parts of a text into the bucket, and removes what an earlier run of the test prepared."""
    s3 = raygen.cluster.s3()
    text = (ROOT / "examples/data/tinyshakespeare.txt").read_bytes()
    for number in range(SOURCES):
        s3.put_object(Bucket="datasets", Key=f"parts/{number:02}.txt", Body=text[number * 1000 :])
    for key in keys(raygen):
        s3.delete_object(Bucket="runs", Key=f"{PLACE}/{key}")


def keys(raygen: Raygen) -> list[str]:
    return raygen.objects(PLACE.removeprefix(f"{NAMESPACE}/"))


def index(raygen: Raygen) -> dict[str, Any] | None:
    """The index of the prepared data, once it is there."""
    try:
        body = raygen.cluster.s3().get_object(Bucket="runs", Key=f"{PLACE}/index.json")["Body"]
    except ClientError:
        return None
    found: dict[str, Any] = json.loads(body.read())
    return found


def test_data_is_prepared_in_pods_for_that_and_one_of_them_is_killed(alone: Raygen, tmp_path: Path) -> None:
    fill(alone)
    alone.apply(*overrides(f"s3://runs/{PLACE}"), 'data.reading={"type": "RayData", "workers": 1}')
    told = set[str]()

    def begun() -> bool:
        summary = alone.summary()
        told.add(summary["reason"])
        assert summary["status"] != "False", summary
        assert index(alone) is None, "the data was prepared before anything could be done to it"
        return len([key for key in keys(alone) if "/clean/" in key and key.endswith(".json")]) >= 3

    until("some parts to be done", 240, begun)
    pods = alone.cluster.get("pod", namespace=NAMESPACE, selector=PREPARERS)
    assert len(pods) == 2
    assert index(alone) is None
    victim = pods[0]["metadata"]["name"]
    alone.cluster.kubectl(
        "--namespace", NAMESPACE, "delete", "pod", victim, "--force", "--grace-period=0", "--wait=false"
    )

    def trains() -> bool:
        summary = alone.summary()
        told.add(summary["reason"])
        assert summary["status"] != "False", summary
        return len(alone.job()["status"]["attempts"]) == 2

    until("the attempt that trains", 240, trains)
    assert "PreparingData" in told
    prepared = alone.job()["status"]["prepared"]

    def reads() -> bool:
        pods = alone.cluster.get("pod", namespace=NAMESPACE, selector=READERS)
        return [pod["status"].get("phase") for pod in pods] == ["Running"]

    # No other pod has what the tasks that read ask for.
    until("the pod that reads", 120, reads)
    end = alone.ends(240)
    assert (end["status"], end["reason"]) == ("True", "Completed"), end
    first, second = alone.job()["status"]["attempts"]
    assert (first["cause"], first["stage"], second["cause"]) == ("Prepared", "Preparation", "Completed")
    assert [step for step, _ in alone.losses("prepared")] == list(range(1, STEPS + 1))
    # The same data as by this machine alone, with nobody killed.
    path = alone.job_file(*overrides(str(tmp_path / "here")), "preparation.workers=1")
    here = json.loads(alone.raygen("prepare", str(path), "--json"))
    found = index(alone)
    assert found is not None
    assert prepared == {"uri": f"s3://runs/{PLACE}", "fingerprint": here["fingerprint"]}
    assert found["fingerprint"] == here["fingerprint"]
    run = alone.cluster.s3().get_object(Bucket="runs", Key=f"{NAMESPACE}/prepared/job.json")["Body"]
    assert json.loads(run.read())["data"]["fingerprint"] == here["fingerprint"]
    assert not [key for key in keys(alone) if key.startswith("work/")]
