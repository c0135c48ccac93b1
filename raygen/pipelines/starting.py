"""What makes a pipeline of Ray Data begin soon. Ray must have been started.

Ray Data starts processes one after the other, each of which imports it: an actor that shares a cluster's resources among
pipelines, and once that has answered those that do the work.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ray.data import Dataset

    from raygen.data.shards.pieces import Fetch

_SHARE = "raygen-share"
LOOK_S = 10.0
"""How often a pipeline looks how large the cluster is."""


def warm(count: int, books: Mapping[str, Any], fetch: Fetch) -> None:
    """Has the processes that will read import what they need, and returns at once.

    Args:
        count: Processes.
        books: What each books, as Ray's `num_cpus` and `resources`.
        fetch: What they will call: where it reads it opens its connections.
    """
    import ray

    # Spread as Ray Data spreads its own tasks. What goes wrong in it comes again when they read, and is told then.
    task = ray.remote(_imports).options(**books, scheduling_strategy="SPREAD", max_retries=0)
    for _ in range(count):
        task.remote(fetch)


def _imports(fetch: Fetch) -> None:
    del fetch
    # What the functions of its tasks come from.
    import ray.data._internal.execution.operators.map_operator
    import ray.data._internal.planner.plan_udf_map_op  # noqa: F401

    import raygen.pipelines.reading  # noqa: F401


def take_what_is_there(dataset: Dataset) -> None:
    """Has an execution take the cluster's resources to be its own, instead of a share that an actor deals to it.

    Of what it may use its tasks have booked or limited all, and others that run beside it are workers that train: of what these have
    booked Ray gives it nothing.

    Args:
        dataset: Not executed yet.
    """
    from ray.data._internal.execution import streaming_executor

    executor: Any = streaming_executor
    given = executor.create_cluster_autoscaler
    if not getattr(given, "of_raygen", False):

        def create(topology: Any, manager: Any, context: Any, **options: Any) -> Any:
            if context.get_config(_SHARE, None):
                return _whole_cluster()
            return given(topology, manager, context, **options)

        create.of_raygen = True  # type: ignore[attr-defined]
        executor.create_cluster_autoscaler = create
    dataset.context.set_config(_SHARE, value=True)


def _whole_cluster() -> Any:
    import ray
    from ray.data import ExecutionResources
    from ray.data._internal.cluster_autoscaler import ClusterAutoscaler

    there: Any = ray

    class WholeCluster(ClusterAutoscaler):
        def __init__(self) -> None:
            self._look()

        def _look(self) -> None:
            self._looked = time.monotonic()
            self._total: ExecutionResources = ExecutionResources.from_resource_dict(there.cluster_resources())

        def try_trigger_scaling(self) -> None:
            """Machines that read are of a fixed number; they may come late."""
            if time.monotonic() - self._looked > LOOK_S:
                self._look()

        def on_executor_shutdown(self) -> None:
            """Nothing was asked for."""

        def get_total_resources(self) -> ExecutionResources:
            return self._total

    return WholeCluster()
