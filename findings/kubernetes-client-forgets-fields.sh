#!/usr/bin/env bash
# Python's Kubernetes client drops the fields that it does not know.
#
# Read, change, write back, the loop of every operator: the typed models have the fields of one release, and what
# a newer API server or a custom field adds is gone after the first object that passes through, without a word.
# Versions: kubernetes 37.0.1.
# Source: not documented for reading; the change log says that models refuse unknown fields when they are made by
# hand.
# raygen: works on raw JSON, and writes by server-side apply only what is its own (docs/decisions.md, 2026-11-25).
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages kubernetes==37.0.1
look <<'PY'
import json

from kubernetes import client
from verdict import verdict

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "worker"},
    "spec": {"containers": [{"name": "ray"}], "schedulingPromise": {"deadline": "5m"}},
}


class Answer:
    data = json.dumps(POD)


api = client.ApiClient()
try:
    pod = api.deserialize(Answer(), "V1Pod")
except TypeError:  # the signature of releases since 32
    pod = api.deserialize(json.dumps(POD), "V1Pod", "application/json")
written = api.sanitize_for_serialization(pod)
lost = sorted(set(POD["spec"]) - set(written["spec"]))
verdict(
    expected="what was read is written, or an error",
    seen=f"lost: {', '.join(lost) or 'nothing'}",
    holds=lost == ["schedulingPromise"],
)
PY
