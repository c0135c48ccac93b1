"""The checks, each of one part of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from raygen.client.doctor import inside, kuberay, placing
from raygen.client.doctor.finding import Finding
from raygen.client.doctor.kuberay import DEFINITIONS
from raygen.client.doctor.view import HiddenError, Object, View
from raygen.kube import ApiError
from raygen.spec.kinds import definitions
from raygen.spec.names import GROUP, VERSION

Check = Callable[[View], Iterator[Finding]]


def kinds(view: View) -> Iterator[Finding]:
    """The API server serves raygen's kinds, as this raygen knows them."""
    name = "definitions"
    install = (
        "Install them: kubectl apply --server-side -f manifests/crd, or the chart with crds.enabled=true"
    )
    served = view.ask(f"/apis/{GROUP}/{VERSION}") or {"resources": []}
    there = {one["name"] for one in served["resources"]}
    wanted = definitions()
    missing = [kind for kind in wanted if kind.partition(".")[0] not in there]
    if missing:
        yield Finding(name, "fault", f"the API server does not serve {', '.join(missing)}", install)
        return
    try:
        found = {kind: view.ask(DEFINITIONS.path(name=kind)) for kind in wanted}
    except HiddenError:
        yield Finding(name, "ok", "the API server serves raygen's kinds, of a version that you may not see")
        return
    different = [kind for kind, body in wanted.items() if not _same(found[kind], body)]
    if different:
        said = f"{', '.join(different)} is of another version of raygen than this one"
        yield Finding(name, "warning", said, f"Use the same version everywhere. {install}")
    else:
        yield Finding(name, "ok", "the API server serves raygen's kinds")


def _same(there: Object | None, body: Object) -> bool:
    """Whether all that `body` says is said there too; the API server adds to it."""
    return there is not None and _holds(there["spec"]["versions"], body["spec"]["versions"])


def _holds(there: object, wanted: object) -> bool:
    if isinstance(wanted, dict):
        return isinstance(there, dict) and all(
            key in there and _holds(there[key], value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(there, list)
            and len(there) == len(wanted)
            and all(_holds(one, other) for one, other in zip(there, wanted, strict=True))
        )
    return bool(there == wanted)


def _guarded(name: str, check: Check, view: View) -> Iterator[Finding]:
    try:
        yield from check(view)
    except HiddenError as error:
        yield Finding(name, "unknown", str(error), "Have an administrator run this.")
    except ApiError as error:
        if error.status in (0, 401):
            raise
        yield Finding(name, "unknown", error.what, error.remedy)


CHECKS: dict[str, Check] = {
    name: partial(_guarded, name, check)
    for name, check in {
        "kuberay": kuberay.kuberay,
        "definitions": kinds,
        "admission": inside.admission,
        "operator": inside.operator,
        "rights": inside.rights,
        "runtime": placing.runtime,
        "namespace": placing.namespace,
        "user": placing.user,
        "cluster": placing.cluster,
        "nodes": placing.nodes,
        "pods": placing.pods,
    }.items()
}
"""Every check by its name."""
