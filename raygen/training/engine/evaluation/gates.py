"""Gates: values that a run's metrics must reach at its last evaluation."""

from __future__ import annotations

from collections.abc import Mapping

from raygen.errors import GateFailedError
from raygen.spec import TrainingJob


def check_gates(job: TrainingJob, values: Mapping[str, float], step: int) -> None:
    """Returns if every gate of a job is passed.

    Args:
        job: The job.
        values: Metric name -> value at the last evaluation; those that are not finite are missing.
        step: The last step.

    Raises:
        GateFailedError: some are not; names all of them, with value and bound.
    """
    failed = []
    for gate in job.spec.evaluation.gates:
        value = values.get(gate.metric)
        if value is None:
            failed.append(f"{gate.metric} has no finite value")
        elif gate.at_most is not None and value > gate.at_most:
            failed.append(f"{gate.metric} is {value:.6g}, which must be at most {gate.at_most:g}")
        elif gate.at_least is not None and value < gate.at_least:
            failed.append(f"{gate.metric} is {value:.6g}, which must be at least {gate.at_least:g}")
    if failed:
        raise GateFailedError(
            f"trained to step {step}, but {'; '.join(failed)}",
            where="spec.evaluation.gates",
            remedy="Its checkpoints are kept. Train longer or otherwise, or change the gate and start the run again: it trains"
            " nothing twice.",
        )
