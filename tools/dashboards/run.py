"""The dashboard of one run."""

from __future__ import annotations

from tools.dashboards.shape import Dashboard, Panel, events

RUN = '{namespace=~"$namespace", training_job=~"$training_job"}'
"""Of a run's driver."""
PODS = '{namespace=~"$namespace", raygen_io_job=~"$training_job"}'
"""Of a run's pods, by Ray's agents in them."""


def _of_run(metric: str) -> str:
    """One line for a run: Ray adds labels of its own, which change with the driver's pod."""
    return f"max by (run) ({metric}{RUN})"


def _rate(metric: str) -> str:
    return f"sum by (run) (rate({metric}{RUN}[$__rate_interval]))"


A_RUN = Dashboard(
    "run",
    "raygen / one run",
    "How one run goes: its loss, its speed, and what keeps it from being faster.",
    {
        "namespace": "label_values(ray_raygen_train_step, namespace)",
        "training_job": 'label_values(ray_raygen_train_step{namespace=~"$namespace"}, training_job)',
    },
    (
        Panel(
            "Steps done",
            "Share of the steps that were asked for.",
            "percentunit",
            {"{{run}}": f"{_of_run('ray_raygen_train_step')} / {_of_run('ray_raygen_train_last_step')}"},
            kind="gauge",
            width=6,
            most=1,
        ),
        Panel(
            "Step",
            "Steps done.",
            "none",
            {"{{run}}": _of_run("ray_raygen_train_step")},
            kind="stat",
            width=6,
        ),
        Panel(
            "Goodput",
            "Share of the attempt's time that was spent in training steps.",
            "percentunit",
            {"{{run}}": _of_run("ray_raygen_train_goodput_ratio")},
            kind="stat",
            width=6,
            most=1,
        ),
        Panel(
            "Findings of guards",
            "In the time shown. The job's status says of a run that a guard ended which one it was; the log has all.",
            "none",
            {"{{run}}": f"sum by (run) {events('ray_raygen_train_guard_events_total', RUN)}"},
            kind="stat",
            width=6,
        ),
        Panel(
            "Loss",
            "Training loss of the newest step that was read from the device.",
            "none",
            {"{{run}}": _of_run("ray_raygen_train_loss")},
            width=12,
        ),
        Panel(
            "Throughput",
            "Tokens a second for text, else images, of all workers together.",
            "cps",
            {"{{run}}": _of_run("ray_raygen_train_units_per_second")},
            width=12,
        ),
        Panel(
            "Goodput",
            "Share of the attempt's time that was spent in training steps; the rest went into starting, evaluation and"
            " samples.",
            "percentunit",
            {"{{run}}": _of_run("ray_raygen_train_goodput_ratio")},
            most=1,
        ),
        Panel(
            "Waiting for data",
            "Share of the time of steps that the first worker's host waits for data.",
            "percentunit",
            {
                "{{run}}": f"{_rate('ray_raygen_train_data_wait_seconds_total')}"
                f" / {_rate('ray_raygen_train_step_seconds_total')}"
            },
            most=1,
        ),
        Panel(
            "Time of a checkpoint",
            "How long training stands still for one; its writing goes on beside the steps, unless the one before is not"
            " written yet.",
            "s",
            {
                "{{run}}": f"{_rate('ray_raygen_train_checkpoint_seconds_total')}"
                f" / {_rate('ray_raygen_train_checkpoints_total')}"
            },
        ),
        Panel(
            "GPUs at work",
            "Utilisation of each GPU.",
            "percent",
            {"{{pod}} {{GpuIndex}}": f"ray_node_gpus_utilization{PODS}"},
            most=100,
        ),
        Panel(
            "GPU memory",
            "Used memory of each GPU, in MiB.",
            "mbytes",
            {"{{pod}} {{GpuIndex}}": f"ray_node_gram_used{PODS}"},
        ),
        Panel(
            "CPUs at work",
            "Utilisation of each pod's CPU cores.",
            "percent",
            {"{{pod}}": f"max by (pod) (ray_node_cpu_utilization{PODS})"},
            most=100,
        ),
        Panel(
            "Memory",
            "Used memory of each pod, as a share of its limit. The job ends as OutOfMemory when it reaches that.",
            "percentunit",
            {"{{pod}}": f"max by (pod) (ray_node_mem_used{PODS}) / max by (pod) (ray_node_mem_total{PODS})"},
            most=1,
        ),
        Panel(
            "Network",
            "What each pod receives and sends: data, checkpoints, gradients.",
            "Bps",
            {
                "{{pod}} in": f"max by (pod) (ray_node_network_receive_speed{PODS})",
                "{{pod}} out": f"max by (pod) (ray_node_network_send_speed{PODS})",
            },
        ),
    ),
)
