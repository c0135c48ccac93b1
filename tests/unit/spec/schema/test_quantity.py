from __future__ import annotations

import pytest

from raygen.spec.schema.quantity import memory_bytes


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("100Mi", 100 << 20),
        ("20Gi", 20 << 30),
        ("1.5Gi", 3 << 29),
        ("0.1Gi", 107374182),
        ("64G", 64 * 10**9),
        ("200M", 2 * 10**8),
        ("1048576Ki", 1 << 30),
        ("1000000k", 10**9),
        ("17179869184", 1 << 34),
        ("2Ti", 2 << 40),
    ],
)
def test_memory_in_bytes(text: str, size: int) -> None:
    assert memory_bytes(text) == size


@pytest.mark.parametrize("text", ["", "20", "20GB", "20 Gi", "-1Gi", "64Mi", "1e9", "Gi", "20gi", "20Gi\n"])
def test_what_a_job_refuses_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not an amount of memory"):
        memory_bytes(text)
