"""The dashboard of the operator itself."""

from __future__ import annotations

from tools.dashboards.shape import Dashboard, Panel, quantile

OWN = '{namespace=~"$namespace"}'


def _rate(metric: str) -> str:
    return f"rate({metric}{OWN}[$__rate_interval])"


OPERATOR = Dashboard(
    "operator",
    "raygen / operator",
    "Whether the operator sees, decides and writes as it should.",
    {"namespace": "label_values(raygen_leader, namespace)"},
    (
        Panel(
            "Leaders",
            "Operators that lead. One is right; none means that no job is looked after, two must never be.",
            "none",
            {"leaders": f"sum(raygen_leader{OWN})"},
            kind="stat",
            width=6,
        ),
        Panel(
            "Jobs",
            "TrainingJobs that have not ended.",
            "none",
            {"active": 'sum(raygen_jobs{state="Active", namespace=~"$namespace"})'},
            kind="stat",
            width=6,
        ),
        Panel(
            "Oldest in the queue",
            "How long the job that is due for longest has waited or been worked on. Seconds are well; minutes mean that"
            " the API server is slow or that jobs come faster than they are worked on.",
            "s",
            {"age": f"max(raygen_queue_age_seconds{OWN})"},
            kind="stat",
            width=6,
        ),
        Panel(
            "Versions",
            "Operators by version; two versions at once are an upgrade on its way.",
            "none",
            {"{{version}}": f"count by (version) (raygen_build_info{OWN})"},
            kind="stat",
            width=6,
        ),
        Panel(
            "Queue",
            "Jobs that are due and not worked on yet.",
            "short",
            {"due": f"max(raygen_queue_depth{OWN})"},
        ),
        Panel(
            "Looks at jobs",
            "How often jobs are looked at.",
            "ops",
            {"looks": f"sum({_rate('raygen_reconcile_seconds_count')})"},
        ),
        Panel(
            "Time of a look",
            "How long a look at a job takes; most of it is waiting for the API server.",
            "s",
            {
                "median": quantile(0.5, "raygen_reconcile_seconds", OWN),
                "99 %": quantile(0.99, "raygen_reconcile_seconds", OWN),
            },
        ),
        Panel(
            "Failed looks",
            "By what the API server says; `fault` is one of the operator's own, and its log has the traceback.",
            "ops",
            {"{{reason}}": f"sum by (reason) ({_rate('raygen_reconcile_errors_total')}) > 0"},
        ),
        Panel(
            "Silence of watches",
            "How long ago the API server was heard, by kind. It sends something about once a minute, so more than two"
            " minutes mean that changes go unseen.",
            "s",
            {"{{kind}}": f"max by (kind) (raygen_watch_silence_seconds{OWN})"},
        ),
        Panel(
            "Writes",
            "Requests that change something, by verb and kind.",
            "reqps",
            {
                "{{verb}} {{kind}}": "sum by (verb, kind) (rate(raygen_api_requests_total"
                '{namespace=~"$namespace", verb=~"create|patch|update|delete"}[$__rate_interval]))'
            },
            is_stacked=True,
        ),
        Panel(
            "Reads",
            "Requests that change nothing, by verb and kind. Watches keep the store up to date, so there are few.",
            "reqps",
            {
                "{{verb}} {{kind}}": "sum by (verb, kind) (rate(raygen_api_requests_total"
                '{namespace=~"$namespace", verb=~"get|list|watch"}[$__rate_interval]))'
            },
            is_stacked=True,
        ),
        Panel(
            "Answers that are not a success",
            "By status. 404 and 409 are part of the work; 403 means that a right or a policy is missing, 429 that the API"
            " server is busy, none that it is away.",
            "reqps",
            {
                "{{code}}": "sum by (code) (rate(raygen_api_requests_total"
                '{namespace=~"$namespace", code!~"2.."}[$__rate_interval]))'
            },
        ),
        Panel(
            "Memory",
            "Resident memory of each operator; the chart's limit is operator.resources.limits.memory.",
            "bytes",
            {"{{pod}}": f"process_resident_memory_bytes{OWN} and on (namespace, pod) raygen_leader"},
            width=12,
        ),
        Panel(
            "CPU",
            "Cores that each operator uses.",
            "none",
            {"{{pod}}": f"{_rate('process_cpu_seconds_total')} and on (namespace, pod) raygen_leader"},
            width=12,
        ),
    ),
)
