"""What a pod says of the storage that it tried, and the remedy in the words of a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from raygen.client.doctor.finding import Finding
from raygen.client.doctor.image import plain
from raygen.spec.runtime import RaygenRuntimeSpec

Object = dict[str, Any]

NAME = "storage"
REMEDIES = {
    "unresolved": "Correct {endpoint}, or the cluster's DNS.",
    "unreachable": "Correct {endpoint}, start that server, or let pods of {namespace} reach it: network policies, firewall.",
    "certificate": "Give the image the certificate of its authority, and AWS_CA_BUNDLE in environment of {runtime} its path;"
    " or correct {endpoint}.",
    "missing": "Put AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY into {secret}.",
    "refused": "Correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in {secret}.",
    "expired": "Put new credentials into {secret}.",
    "bucket": "Make the bucket {bucket}, or correct storage.allowedUriPrefixes of {runtime}.",
    "denied": "Give these credentials s3:ListBucket, s3:GetObject, s3:PutObject and s3:DeleteObject for {uri}",
    "region": "Write the region of the bucket {bucket} into storage.region of {runtime}.",
    "full": "Free some space, or raise the quota of the bucket {bucket}.",
}
"""By the kinds of raygen.storage.probe; where none is here, the pod's own remedy holds."""


def findings(
    answers: Sequence[object], spec: RaygenRuntimeSpec, runtime: str, namespace: str
) -> Iterator[Finding]:
    """One for each prefix.

    Args:
        answers: What `raygen probe` says of each.
        spec: Of the runtime.
        runtime: Its name.
        namespace: The pod's.
    """
    tried = [one for one in answers if isinstance(one, dict)]
    can_write = any(not one.get("kind") for one in tried)
    if not tried:
        yield Finding(NAME, "ok", f"the RaygenRuntime {runtime} allows no s3://, so there is nothing to try")
    for one in tried:
        uri = plain(str(one.get("uri", "")))
        if not one.get("kind"):
            yield Finding(NAME, "ok", f"{uri}: a pod of {namespace} can list, write, read and delete there")
            continue
        words = _words(uri, spec, runtime, namespace)
        remedy = REMEDIES.get(str(one["kind"]), "").format_map(words) or plain(str(one.get("remedy", "")))
        said = f"{uri}: {plain(str(one.get('what', '')))} (tried by a pod of {namespace})"
        if one["kind"] == "denied" and one.get("readable") and can_write:
            # As it should be for data; a job whose output is there ends with the reason.
            said += ". It can be listed, which is enough for data, and not for output"
            yield Finding(NAME, "warning", said, remedy)
        else:
            yield Finding(NAME, "fault", said, remedy)


def _words(uri: str, spec: RaygenRuntimeSpec, runtime: str, namespace: str) -> dict[str, str]:
    """What the remedies name."""
    named, own = f"the RaygenRuntime {runtime}", ", ".join(spec.environment_secrets)
    secret = (
        f"the Secret {own} of {namespace}"
        if own
        else f"a Secret of {namespace}, and name it in environmentSecrets of {named}"
    )
    elsewhere = f", or AWS_ENDPOINT_URL in {secret}" if own and spec.storage.endpoint is None else ""
    return {
        "bucket": uri.removeprefix("s3://").partition("/")[0],
        "endpoint": f"storage.endpoint of {named}{elsewhere}",
        "namespace": namespace,
        "runtime": named,
        "secret": secret,
        "uri": uri,
    }
