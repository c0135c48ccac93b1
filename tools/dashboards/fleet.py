"""The dashboard of all jobs."""

from __future__ import annotations

from tools.dashboards.shape import Dashboard, Panel, events, quantile

ANY_POD = '{raygen_io_job!=""}'
"""Pods of jobs, by Ray's agents in them."""


FLEET = Dashboard(
    "fleet",
    "raygen / all training jobs",
    "What all jobs of the cluster do, wait for and end by.",
    {},
    (
        Panel(
            "Jobs that train",
            "Jobs whose steps are being done.",
            "none",
            {"training": 'sum(raygen_jobs{state="Active", reason="Training"})'},
            kind="stat",
            width=4,
        ),
        Panel(
            "Jobs that wait",
            "Jobs that have not ended and do not train: the reasons are below.",
            "none",
            {"waiting": 'sum(raygen_jobs{state="Active", reason!="Training"})'},
            kind="stat",
            width=4,
        ),
        Panel(
            "Failed jobs",
            "Jobs that have failed and are still there.",
            "none",
            {"failed": 'sum(raygen_jobs{state="Failed"})'},
            kind="stat",
            width=4,
        ),
        Panel(
            "GPUs",
            "GPUs that jobs ask for which have not ended: of those that train, and of those that wait.",
            "none",
            {"{{stage}}": "sum by (stage) (raygen_requested_gpus)"},
            kind="stat",
            width=6,
        ),
        Panel(
            "Goodput",
            "Mean and least share of time that is spent in training steps, of the jobs that train.",
            "percentunit",
            {"mean": "min(raygen_goodput_mean_ratio)", "least": "min(raygen_goodput_min_ratio)"},
            kind="stat",
            width=6,
            most=1,
        ),
        Panel(
            "Jobs that have not ended",
            "By reason of the condition Succeeded; docs/jobs-on-a-cluster.md says what each means and what to do.",
            "none",
            {"{{reason}}": 'sum by (reason) (raygen_jobs{state="Active"}) > 0'},
            width=12,
            is_stacked=True,
        ),
        Panel(
            "Attempts that ended",
            "By cause, within an hour. Suspended, Preempted and Drained are the cluster's doing and cost no attempt.",
            "none",
            {"{{cause}}": "sum by (cause) (increase(raygen_attempts_ended_total[1h])) > 0"},
            width=12,
            is_stacked=True,
        ),
        Panel(
            "Time to the first step",
            "From the making of a job to the first steps of its first attempt: waiting for quota and nodes, pulling the"
            " image, starting Ray, reading data.",
            "s",
            {
                "median": quantile(0.5, "raygen_job_first_step_seconds", span="1h"),
                "90 %": quantile(0.9, "raygen_job_first_step_seconds", span="1h"),
            },
        ),
        Panel(
            "Goodput",
            "Mean and least of the jobs that train. What is missing went into starting, evaluation and samples.",
            "percentunit",
            {"mean": "min(raygen_goodput_mean_ratio)", "least": "min(raygen_goodput_min_ratio)"},
            most=1,
        ),
        Panel(
            "Workers",
            "Workers that jobs ask for which have not ended: of those that train, and of those that wait.",
            "none",
            {"{{stage}}": "sum by (stage) (raygen_requested_workers)"},
            is_stacked=True,
        ),
        Panel(
            "Least goodput",
            "The ten runs that spend the smallest share of their time in training steps.",
            "percentunit",
            {
                "{{namespace}}/{{training_job}}": "bottomk(10, max by (namespace, training_job)"
                " (ray_raygen_train_goodput_ratio))"
            },
            most=1,
        ),
        Panel(
            "Waiting for data",
            "Share of the time of steps that hosts wait for data, of the ten runs in which it is greatest. More than a tenth"
            " is worth more cores for workers, or files that are cheaper to decode.",
            "percentunit",
            {
                "{{namespace}}/{{training_job}}": "topk(10, sum by (namespace, training_job)"
                " (rate(ray_raygen_train_data_wait_seconds_total[$__rate_interval])) / sum by (namespace, training_job)"
                " (rate(ray_raygen_train_step_seconds_total[$__rate_interval])))"
            },
            most=1,
        ),
        Panel(
            "Findings of guards",
            "Within an hour, by job; the run's log and report have the step and what to do.",
            "none",
            {
                "{{namespace}}/{{training_job}}": "sum by (namespace, training_job)"
                f" {events('ray_raygen_train_guard_events_total', span='1h')} > 0"
            },
        ),
        Panel(
            "GPUs at work",
            "Mean utilisation of the GPUs of each job's pods.",
            "percent",
            {
                "{{namespace}}/{{raygen_io_job}}": "avg by (namespace, raygen_io_job)"
                f" (ray_node_gpus_utilization{ANY_POD})"
            },
            most=100,
        ),
        Panel(
            "CPUs at work",
            "Mean utilisation of the CPU cores of each job's pods.",
            "percent",
            {
                "{{namespace}}/{{raygen_io_job}}": "avg by (namespace, raygen_io_job)"
                f" (ray_node_cpu_utilization{ANY_POD})"
            },
            most=100,
        ),
        Panel(
            "Memory",
            "Of each job the pod that is nearest to its limit.",
            "percentunit",
            {
                "{{namespace}}/{{raygen_io_job}}": "max by (namespace, raygen_io_job)"
                f" (ray_node_mem_used{ANY_POD} / ray_node_mem_total{ANY_POD})"
            },
            most=1,
        ),
    ),
)
