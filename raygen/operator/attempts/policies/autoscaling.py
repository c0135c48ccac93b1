"""The number of worker pods of a sweep, by what its driver says it has use for.

Ray's own autoscaler would need an account in the head pod, beside everybody's code, that may change all pods of the namespace. Here the
driver only says what it needs; the operator keeps to the bounds of the sweep, and removes no pods but the sweep's own.
"""

from __future__ import annotations

from raygen.controller.events import Note
from raygen.kube.bodies import Body, Fields
from raygen.operator.attempts.draft import Draft
from raygen.operator.attempts.model import Scaling
from raygen.operator.rayjob.render import GROUP_NAME
from raygen.spec.names import RAY_GROUP_LABEL
from raygen.spec.sweep.pods import least_workers


def scale(draft: Draft, attempt: Fields, ray_job: Body) -> None:
    """Plans another number of worker pods, where the sweep has use for more, or for fewer and knows which may go.

    Pods that have not started go first. What was lost by itself, and KubeRay would make again, is no longer made.
    """
    told, cluster = draft.progress.get("workers"), attempt.get("rayCluster")
    if "autoscaling" not in draft.spec or told is None or cluster is None or "cause" in attempt:
        return
    if draft.progress.get("rayJob") != attempt["rayJob"] or ray_job["spec"].get("suspend"):
        return
    most = int(ray_job["spec"].get("mostWorkers") or 0)
    wanted = min(max(int(told["wanted"]), least_workers(draft.spec)), most)
    have = int(attempt["workers"] if "workers" in attempt else ray_job["spec"]["workers"])
    if wanted == have:
        # Pods that are about to go may still be there.
        return
    pods = _workers(draft, attempt["rayJob"])
    waiting = [name for name, phase in pods.items() if phase != "Running"]
    idle = [name for name in told.get("idle", ()) if pods.get(name) == "Running"]
    gone = [*waiting, *idle][: max(len(pods) - wanted, 0)]
    # KubeRay picks further ones itself where more pods are there than are to be, so each that goes is named.
    replicas = wanted if wanted > have else max(wanted, len(pods) - len(gone))
    if wanted < have <= replicas:
        return
    attempt["workers"] = replicas
    draft.result.scale = Scaling(
        namespace=draft.metadata["namespace"],
        cluster=cluster,
        job=draft.metadata["name"],
        group=GROUP_NAME,
        replicas=replicas,
        gone=tuple(gone) if replicas < have else (),
    )
    said = f"The {draft.work.noun} has use for {wanted} worker pods at present, and gets {replicas} instead of {have}."
    draft.result.notes.append(Note("Scaled", said))


def _workers(draft: Draft, ray_job: str) -> dict[str, str]:
    """Phases of the worker pods that are there to stay, by name; the oldest first."""
    pods = sorted(draft.pods(ray_job), key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
    return {
        pod["metadata"]["name"]: pod.get("status", {}).get("phase") or "Pending"
        for pod in pods
        if pod["metadata"]["labels"].get(RAY_GROUP_LABEL) == GROUP_NAME
        and not pod["metadata"].get("deletionTimestamp")
        and pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")
    }
