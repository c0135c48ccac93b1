"""What keeps a job from running, or ended it."""

from __future__ import annotations

from dataclasses import dataclass

from raygen.kube.text import scrubbed

MAX_TEXT = 600


@dataclass(frozen=True)
class Trouble:
    """Something that keeps a job from running, or ended it.

    Attributes:
        reason: One CamelCase word.
        message: What happened and what to do.
    """

    reason: str
    message: str


def sentence(text: str) -> str:
    """A text of Kubernetes without secrets, shortened, with a full stop."""
    text = scrubbed(text)
    text = text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
    return text if text.endswith(".") else text + "."
