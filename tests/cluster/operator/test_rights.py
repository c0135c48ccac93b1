"""What the operator's account may do, asked of a real API server."""

from __future__ import annotations

from raygen.kube import Connection
from tests.cluster.apiserver import ApiServer
from tests.cluster.operator.test_admission import install_roles, token_of


def test_the_operator_can_do_what_it_does_and_nothing_else(api: ApiServer, admin: Connection) -> None:
    install_roles(admin)
    operator = api.with_token(token_of(admin, "raygen-system", "raygen-operator"))
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": "raygen-system"},
    }
    rules = operator.request("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", body=review)
    found = {
        f"{group or 'core'}/{resource}: {verb}"
        for rule in rules["status"]["resourceRules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        # What every authenticated user may ask about himself.
        if group not in ("authorization.k8s.io", "authentication.k8s.io")
    }
    assert not [one for one in found if "*" in one]
    assert sorted(found) == SNAPSHOT


SNAPSHOT = sorted(
    [
        *(
            f"raygen.io/{kind}: {verb}"
            for kind in ("trainingjobs", "sweeps")
            for verb in ("get", "list", "watch", "delete")
        ),
        *(f"raygen.io/{kind}/status: patch" for kind in ("trainingjobs", "sweeps")),
        *(f"raygen.io/{kind}/finalizers: update" for kind in ("trainingjobs", "sweeps")),
        *(f"raygen.io/raygenruntimes: {verb}" for verb in ("get", "list", "watch")),
        *(f"ray.io/rayjobs: {verb}" for verb in ("get", "list", "watch", "create", "delete")),
        "ray.io/rayclusters: patch",
        *(f"core/{kind}: {verb}" for kind in ("pods", "events") for verb in ("get", "list", "watch")),
        *(f"events.k8s.io/events: {verb}" for verb in ("create", "patch")),
        *(f"coordination.k8s.io/leases: {verb}" for verb in ("create", "get", "update")),
    ]
)
