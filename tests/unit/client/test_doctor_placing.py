"""What the runtime says that would end jobs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from raygen.cli.main import main
from raygen.kube import RUNTIMES
from tests.unit.client.stub import Cluster
from tests.unit.operator.attempts.world import runtime


@pytest.mark.parametrize(
    ("limit", "is_wrong"), [("200Gi", False), ("", False), ("200GB", True), ("10", True)]
)
def test_a_limit_of_the_cache_that_no_job_could_read_is_a_fault(
    cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str], limit: str, is_wrong: bool
) -> None:
    granted: dict[str, Any] = runtime(environment={"RAYGEN_CACHE_LIMIT": limit})
    kind = {"apiVersion": "raygen.io/v1alpha1", "kind": "RaygenRuntime"}
    cluster.objects[RUNTIMES.path(name="default")] = kind | granted
    main(["doctor", "--only=runtime", "--json", "--kubeconfig", cluster.kubeconfig(tmp_path)])
    first, *others = json.loads(capsys.readouterr().out)["findings"]
    if not is_wrong:
        assert (first["state"], others) == ("ok", [])
        return
    assert first["state"] == "fault"
    assert (
        f"RAYGEN_CACHE_LIMIT in environment of the RaygenRuntime default is wrong: {limit!r}" in first["said"]
    )
    assert first["remedy"] == "Correct it: kubectl edit raygenruntime default"
