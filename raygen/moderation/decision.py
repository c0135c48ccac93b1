"""What was decided about a text, without the text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from raygen.data.sensitive.credentials import Span
from raygen.moderation.policy import Action

Verdict = Literal["Pass", "Log", "Mask", "Drop", "Refuse"]
"""The strictest action of all that was found; Pass where nothing was."""
_STRICTNESS: tuple[Verdict, ...] = ("Pass", "Log", "Mask", "Drop", "Refuse")


@dataclass(frozen=True)
class Finding:
    """What one filter has found of one category.

    Attributes:
        filter: The filter, by its place in the policy: prompts[0].
        category: What was found.
        action: What the filter does with it.
        spans: Where in the original text, in characters and in order. The whole of it where a classifier found it.
        probability: What the classifier gave; None for other filters.
    """

    filter: str
    category: str
    action: Action
    spans: tuple[Span, ...]
    probability: float | None = None


@dataclass(frozen=True)
class Decision:
    """What was decided about a text.

    Attributes:
        action: The strictest action of all findings.
        findings: What was found, in the order of the filters.
        text: What may go on, with what is masked replaced; None where nothing may.
        shown: The text with all that was found replaced, also where nothing goes on: what may stand in logs.
    """

    action: Verdict
    findings: tuple[Finding, ...]
    text: str | None = field(repr=False)
    shown: str = field(repr=False)

    def document(self) -> dict[str, object]:
        """JSON values without the text: action, and of each finding filter, category, action, spans and probability."""
        findings = [
            {
                "filter": one.filter,
                "category": one.category,
                "action": one.action,
                "spans": [list(span) for span in one.spans],
                "probability": one.probability,
            }
            for one in self.findings
        ]
        return {"action": self.action, "findings": findings}


def strictest(findings: tuple[Finding, ...]) -> Verdict:
    """The strictest action of some findings; Pass of none."""
    return max((one.action for one in findings), key=_STRICTNESS.index, default="Pass")
