"""Pictures, which no measurement needs."""

from __future__ import annotations


def save_image(*arguments: object, **options: object) -> None:
    """Writes nothing."""
