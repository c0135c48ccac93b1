"""For each alert of the chart: figures with which it fires, what it then says, and figures with which it must not."""

from __future__ import annotations

from dataclasses import dataclass, field

Series = dict[str, str]
"""Values a minute apart, as promtool has them: `0+2x5` is 0 2 4 6 8 10."""

OPERATOR = 'namespace="raygen-system", job="raygen-operator", pod="operator-{}"'
ATTEMPTS = 'raygen_attempts_ended_total{{namespace="raygen-system", pod="operator-1", cause="{}"}}'
JOBS = 'raygen_jobs{{namespace="raygen-system", pod="operator-1", state="Active", reason="{}"}}'
ERRORS = 'raygen_reconcile_errors_total{{namespace="raygen-system", pod="operator-1", reason="{}"}}'
REQUESTS = 'raygen_api_requests_total{{namespace="raygen-system", pod="operator-1", verb="{}", kind="{}", code="{}"}}'
STARTS = 'raygen_job_first_step_seconds_bucket{{namespace="raygen-system", pod="operator-1", le="{}"}}'
GUARD = (
    'ray_raygen_train_guard_events_total{namespace="research", pod="head", training_job="gpt", run="gpt-1"}'
)
SYSTEM = {"namespace": "raygen-system"}


@dataclass(frozen=True)
class Case:
    """An alert, and figures for it.

    Attributes:
        alert: Its name.
        severity: Its label.
        fires: Figures with which it fires.
        after: When it does, in minutes: the first whole minute after its `for`.
        labels: Those that it then has besides.
        summary: What it then says.
        quiet: Sets of figures with which it never fires.
        over: The minute in which it no longer fires; 0 if that is not looked at.
    """

    alert: str
    severity: str
    fires: Series
    after: int
    summary: str
    quiet: tuple[Series, ...]
    labels: dict[str, str] = field(default_factory=lambda: SYSTEM)
    over: int = 0


def leaders(first: str, second: str, namespace: str = "raygen-system") -> Series:
    names = [OPERATOR.format(number).replace("raygen-system", namespace) for number in (1, 2)]
    return {f"raygen_leader{{{name}}}": values for name, values in zip(names, (first, second), strict=True)}


OF_OPERATORS = (
    Case(
        "RaygenNoLeader",
        "critical",
        leaders("1 1 0x20", "0x60"),
        4,
        "No raygen operator leads; nobody looks after jobs.",
        # The second takes over within two minutes.
        (leaders("1x60", "0x60"), leaders("1 1 0x60", "0 0 0 1x60")),
        {**SYSTEM, "job": "raygen-operator"},
    ),
    Case(
        "RaygenNoLeader",
        "critical",
        {"up": "1x60"},
        2,
        "No raygen operator leads; nobody looks after jobs.",
        (leaders("1x60", "0x60"),),
        {},
    ),
    Case(
        "RaygenTwoLeaders",
        "critical",
        leaders("1x60", "0 1x60"),
        2,
        "2 raygen operators of one release lead at once.",
        (
            leaders("1x60", "0x60"),
            # One of each release.
            leaders("1x60", "0x60") | leaders("0x60", "1x60", namespace="other"),
        ),
        {**SYSTEM, "job": "raygen-operator"},
    ),
    Case(
        "RaygenWatchSilent",
        "warning",
        {f'raygen_watch_silence_seconds{{{OPERATOR.format(1)}, kind="rayjobs"}}': "20 80 140 200+60x60"},
        5,
        "The operator operator-1 has not heard of rayjobs for 5m 20s.",
        ({f'raygen_watch_silence_seconds{{{OPERATOR.format(1)}, kind="rayjobs"}}': "10 70 130 170 5x60"},),
        {**SYSTEM, "pod": "operator-1", "kind": "rayjobs"},
    ),
    Case(
        "RaygenQueueOld",
        "warning",
        {f"raygen_queue_age_seconds{{{OPERATOR.format(1)}}}": "0 90x60"},
        6,
        "A job has waited for 1m 30s to be looked at.",
        (
            {f"raygen_queue_age_seconds{{{OPERATOR.format(1)}}}": "59x60"},
            {f"raygen_queue_age_seconds{{{OPERATOR.format(1)}}}": "90 90 90 0 90 90 90 0x60"},
        ),
        {**SYSTEM, "pod": "operator-1"},
    ),
    Case(
        "RaygenReconcileErrors",
        "warning",
        # 0.2 a second, seen as half of it after five of the ten minutes.
        {ERRORS.format("Conflict"): "0+12x60"},
        16,
        "Looks at jobs fail: Conflict, 0.20 a second.",
        ({ERRORS.format("Conflict"): "0+5x60"}, {ERRORS.format("fault"): "0+12x60"}),
        {**SYSTEM, "reason": "Conflict"},
    ),
    Case(
        "RaygenOperatorFault",
        "warning",
        {ERRORS.format("fault"): "0x4 1x60"},
        5,
        "An internal error of the operator keeps a job from being looked after.",
        ({ERRORS.format("fault"): "3x60"}, {ERRORS.format("Conflict"): "0+1x60"}),
    ),
    Case(
        "RaygenApiRefused",
        "warning",
        {REQUESTS.format("patch", "trainingjobs", 403): "0+1x60"},
        6,
        "The API server refuses the operator: patch trainingjobs (403).",
        (
            # What a quota refuses, the job's status says.
            {REQUESTS.format("create", "rayjobs", 403): "0+1x60"},
            {REQUESTS.format("patch", "trainingjobs", 409): "0+1x60"},
            {REQUESTS.format("patch", "trainingjobs", 403): "7x60"},
        ),
        {**SYSTEM, "verb": "patch", "kind": "trainingjobs", "code": "403"},
    ),
    Case(
        "RaygenApiUnwell",
        "warning",
        {
            REQUESTS.format("patch", "trainingjobs", 200): "0+88x60",
            REQUESTS.format("patch", "trainingjobs", 503): "0+8x60",
            REQUESTS.format("list", "pods", "none"): "0+4x60",
        },
        11,
        "The API server fails 12% of the operator's requests.",
        (
            {
                REQUESTS.format("patch", "trainingjobs", 200): "0+92x60",
                REQUESTS.format("patch", "trainingjobs", 503): "0+8x60",
            },
            {
                REQUESTS.format("patch", "trainingjobs", 200): "0+50x60",
                REQUESTS.format("patch", "trainingjobs", 409): "0+50x60",
            },
        ),
    ),
)
OF_JOBS = (
    Case(
        "RaygenJobsFail",
        "warning",
        {ATTEMPTS.format("OutOfMemory"): "40x9 41 41 42 42 43x60"},
        14,
        "3 attempts of training jobs have failed within half an hour: OutOfMemory.",
        (
            {ATTEMPTS.format("OutOfMemory"): "40x9 41 41 42x60"},
            # One an hour.
            {ATTEMPTS.format("OutOfMemory"): "40x9 41x60 42x60 43x60"},
            {
                ATTEMPTS.format(cause): "0+1x60"
                for cause in ("Completed", "Preempted", "NodeLost", "Suspended")
            },
        ),
        {**SYSTEM, "cause": "OutOfMemory"},
    ),
    Case(
        "RaygenJobsDisrupted",
        "warning",
        {ATTEMPTS.format("NodeLost"): "40x9 41 41 42 42 43x60"},
        14,
        "3 attempts have ended within half an hour: NodeLost.",
        (
            {ATTEMPTS.format("NodeLost"): "40x9 41 41 42x60"},
            {ATTEMPTS.format(cause): "0+1x60" for cause in ("Preempted", "OutOfMemory")},
        ),
        {**SYSTEM, "cause": "NodeLost"},
    ),
    Case(
        "RaygenJobsBlocked",
        "warning",
        {JOBS.format("ImagePull"): "0 2x60"},
        16,
        "2 jobs do not begin: ImagePull.",
        (
            {JOBS.format(reason): "2x60" for reason in ("Training", "Starting", "Queued", "Unschedulable")},
            # Not the same one for long.
            {JOBS.format("ImagePull"): "1x10 0 1x10 0x60"},
        ),
        {**SYSTEM, "reason": "ImagePull"},
    ),
    Case(
        "RaygenJobsUnschedulable",
        "info",
        {JOBS.format("Unschedulable"): "0 3x90"},
        61,
        "3 jobs have found no room for an hour.",
        ({JOBS.format("Queued"): "3x90"}, {JOBS.format("Unschedulable"): "1x50 0 1x50"}),
    ),
    Case(
        "RaygenSlowStart",
        "info",
        {STARTS.format(600): "0x90", STARTS.format(1200): "0+9x90", STARTS.format("+Inf"): "0+10x90"},
        16,
        "Half of the jobs take more than 15m 33s to their first step.",
        # 14 minutes and 27 seconds.
        ({STARTS.format(600): "0+1x90", STARTS.format(1200): "0+10x90", STARTS.format("+Inf"): "0+10x90"},),
    ),
    Case(
        "RaygenLowGoodput",
        "warning",
        {f"raygen_goodput_min_ratio{{{OPERATOR.format(1)}}}": "0.9 0.4x60"},
        31,
        "A job spends only 40% of its time in training steps.",
        (
            {f"raygen_goodput_min_ratio{{{OPERATOR.format(1)}}}": "0.5x60"},
            # A run that begins.
            {f"raygen_goodput_min_ratio{{{OPERATOR.format(1)}}}": "0.1 0.2 0.3 0.4 0.6x60"},
        ),
    ),
    Case(
        "RaygenGuardFound",
        "info",
        # Ray's agents know nothing of a counter before it counts.
        {GUARD: "_x5 1x60"},
        5,
        "A guard has found something in research/gpt.",
        ({GUARD.replace("guard_events", "checkpoints"): "_x5 1x60"},),
        {"namespace": "research", "training_job": "gpt", "run": "gpt-1"},
        20,
    ),
)
CASES = OF_OPERATORS + OF_JOBS
