"""What a job says of its data, as a digest: by it, prepared data is known to be what the job asks for."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from raygen.spec import Images, ResolvedJob


def words_on_data(job: ResolvedJob) -> dict[str, Any]:
    """What a job says of its data that decides what is prepared.

    Where sources lie is not among it, since data may move; nor is how it is read.
    """
    spec = job.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    data: dict[str, Any] = spec["data"]
    data.pop("packing", None)
    data.pop("augmentation", None)
    data.pop("reading", None)
    images = (job.spec.data.images or Images()).model_dump(mode="json", by_alias=True, exclude_none=True)
    data["images"] = {name: value for name, value in images.items() if name != "horizontalFlip"}
    # How components are mixed is decided while they are read; that each source is one is decided here.
    data["train"].pop("weightChanges", None)
    if "mixture" in data["train"]:
        data["train"]["mixture"] = True
    for split in ("train", "validation"):
        for source in data.get(split, {}).get("sources", ()):
            source.pop("uri")
    shape = ("shardMegabytes", "shardsPerWindow", "encoding")
    return {"data": data, "preparation": {name: spec["preparation"][name] for name in shape}}


def digest_of(document: object) -> str:
    """SHA-256 of a JSON document, in hexadecimal."""
    return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
