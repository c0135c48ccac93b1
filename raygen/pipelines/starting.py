"""What makes a pipeline of Ray Data begin soon. Ray must have been started.

Ray Data starts processes one after the other, each of which imports it: actors that all pipelines of a cluster share, and once one of
these has answered those that do the work.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from ray.data import Dataset

    from raygen.data.shards.pieces import Fetch

_MARK = "raygen_without_actors"
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


def without_actors(dataset: Dataset) -> None:
    """Has the executions of a data set start neither of the actors that Ray Data shares among a cluster's pipelines.

    One deals the cluster's resources to them: those of this one are booked or limited, and others that run beside it are workers that
    train, of whose resources Ray gives it nothing. The other one keeps figures of blocks and operators for Ray's dashboard.

    Args:
        dataset: Not executed yet.
    """
    from ray.data._internal.execution import streaming_executor

    if not hasattr(streaming_executor, _MARK):
        setattr(streaming_executor, _MARK, True)
        _replace(streaming_executor)
    dataset.context.set_config(_MARK, value=True)


def _replace(executor: Any) -> None:
    """Makes Ray's executor ask its settings before it starts an actor."""
    given: Any = executor.create_cluster_autoscaler
    figures: Any = executor._StatsManager

    def create(topology: Any, manager: Any, context: Any, **options: Any) -> Any:
        if context.get_config(_MARK, default=False):
            return _whole_cluster()
        return given(topology, manager, context, **options)

    class Figures(figures):  # type: ignore[misc]
        untold: ClassVar[set[str]] = set()

        @classmethod
        def register_dataset_to_stats_actor(cls, name: str, tags: Any, topology: Any, context: Any) -> None:
            if context.get_config(_MARK, default=False):
                cls.untold.add(name)
            else:
                figures.register_dataset_to_stats_actor(name, tags, topology, context)

        @classmethod
        def update_execution_metrics(cls, name: str, *values: Any) -> None:
            if name not in cls.untold:
                figures.update_execution_metrics(name, *values)

    executor.create_cluster_autoscaler, executor._StatsManager = create, Figures


def _whole_cluster() -> Any:
    import ray
    from ray.data import ExecutionResources
    from ray.data._internal.cluster_autoscaler import ClusterAutoscaler

    class WholeCluster(ClusterAutoscaler):
        def __init__(self) -> None:
            self._look()

        def _look(self) -> None:
            self._looked = time.monotonic()
            there = ray.cluster_resources()  # type: ignore[no-untyped-call]
            self._total: Any = ExecutionResources.from_resource_dict(there)

        def try_trigger_scaling(self) -> None:
            """Machines that read are of a fixed number; they may come late."""
            if time.monotonic() - self._looked > LOOK_S:
                self._look()

        def on_executor_shutdown(self) -> None:
            """Nothing was asked for."""

        def get_total_resources(self) -> Any:
            return self._total

    return WholeCluster()
