"""Names of figures that Prometheus gets from the pods of jobs: tests/integration reads them there, dashboards use them."""

from __future__ import annotations

from raygen.training.observers.ray_metrics import COUNTERS, GAUGES

OF_RUNS = frozenset({f"ray_{name}" for name in GAUGES} | {f"ray_{name}_total" for name in COUNTERS})
"""Ray puts its own name before them, and counters end as Prometheus wants it."""
OF_RAY = frozenset(
    {
        "ray_node_cpu_utilization",
        "ray_node_mem_total",
        "ray_node_mem_used",
        "ray_node_network_receive_speed",
        "ray_node_network_send_speed",
    }
)
OF_GPUS = frozenset({"ray_node_gpus_utilization", "ray_node_gram_used"})
"""Only where there is a GPU."""
