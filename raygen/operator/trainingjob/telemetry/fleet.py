"""Figures about all jobs together, made of the store when they are asked for: no event costs anything for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from raygen.controller.conditions import RUNNING, SUCCEEDED
from raygen.controller.store import Store
from raygen.kube.bodies import Body
from raygen.operator.attempts import stored_job
from raygen.spec import reasons

OTHER = "Other"
NEW = "New"
"""The reason of a job that has no status yet."""
STATES = {"Unknown": "Active", "True": "Succeeded", "False": "Failed"}
"""What the summary says of a job, by its status."""
REASONS: dict[str, tuple[str, ...]] = {
    "Active": (NEW, *reasons.WAITING, OTHER),
    "Succeeded": (*reasons.SUCCEEDED, OTHER),
    "Failed": tuple(dict.fromkeys((*reasons.FINAL, *reasons.COUNTED, OTHER))),
}
"""All reasons, by state."""
TRAINING, WAITING = "Training", "Waiting"


class Fleet(Collector):
    """Figures about all jobs. Only the operator that leads gives them, so that they may be summed over operators.

    Args:
        jobs: All jobs.
        leads: Whether this operator does.
    """

    def __init__(self, jobs: Store, leads: Callable[[], bool]) -> None:
        self._jobs, self._leads = jobs, leads

    def collect(self) -> Iterator[Metric]:
        """One pass over all jobs."""
        if not self._leads():
            return
        counts = Counter({(state, reason): 0 for state, known in REASONS.items() for reason in known})
        workers, gpus = Counter({TRAINING: 0, WAITING: 0}), Counter({TRAINING: 0, WAITING: 0})
        goodputs: list[float] = []
        for job in self._jobs.all():
            state, reason, trains = _summary(job)
            counts[state, reason] += 1
            if state != "Active" or reason == "Suspended":
                continue
            stage = TRAINING if trains else WAITING
            asked_workers, asked_gpus = stored_job.as_job(job)["asks"]
            workers[stage] += asked_workers
            gpus[stage] += asked_gpus
            goodput = _goodput(job) if trains else None
            if goodput is not None:
                goodputs.append(goodput)
        yield from _families(counts, workers, gpus, goodputs)


def _families(
    counts: Counter[tuple[str, str]], workers: Counter[str], gpus: Counter[str], goodputs: list[float]
) -> Iterator[Metric]:
    jobs = GaugeMetricFamily("raygen_jobs", "Jobs, by state and reason.", labels=["state", "reason"])
    for labels, count in counts.items():
        jobs.add_metric(labels, count)
    yield jobs
    for name, text, by_stage in (
        ("raygen_requested_workers", "Workers that jobs ask for which have not ended.", workers),
        ("raygen_requested_gpus", "GPUs that the same jobs ask for.", gpus),
    ):
        asked = GaugeMetricFamily(name, f"{text} Training: steps are done.", labels=["stage"])
        for stage, count in by_stage.items():
            asked.add_metric([stage], count)
        yield asked
    mean = GaugeMetricFamily(
        "raygen_goodput_mean_ratio", "Mean goodput of the jobs that train; none if none does."
    )
    least = GaugeMetricFamily("raygen_goodput_min_ratio", "Least goodput of the jobs that train.")
    if goodputs:
        mean.add_metric([], sum(goodputs) / len(goodputs))
        least.add_metric([], min(goodputs))
    yield mean
    yield least


def _summary(job: Body) -> tuple[str, str, bool]:
    """State, reason, and whether steps are being done."""
    state, reason, trains = "Active", NEW, False
    for one in job["status"].get("conditions") or ():
        if one.get("type") == SUCCEEDED:
            state = STATES.get(one.get("status"), "Active")
            said = one.get("reason")
            reason = said if said in REASONS[state] else OTHER
        elif one.get("type") == RUNNING:
            trains = one.get("status") == "True"
    return state, reason, trains


def _goodput(job: Body) -> float | None:
    """What the driver said last, if it said anything."""
    told: Any = (job["status"].get("progress") or {}).get("goodput")
    return float(told) if isinstance(told, int | float) else None
