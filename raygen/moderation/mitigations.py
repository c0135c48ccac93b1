"""The way of a prompt into a model and of its output back: filtered, put into a template, written on, filtered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from raygen.moderation.decision import Decision
from raygen.moderation.moderator import Moderator
from raygen.moderation.templates import PromptTemplate

Generate = Callable[[Sequence[str]], Sequence[str]]
"""Whatever writes one text for each prompt, without the prompt itself."""


@dataclass(frozen=True)
class Entry:
    """A prompt before a model sees it.

    Attributes:
        shown: The prompt as it may be shown, with what was found replaced.
        asked: What the model gets; None where it is not asked.
        decision: What was decided about the prompt; None without a policy.
    """

    shown: str
    asked: str | None = field(repr=False)
    decision: Decision | None


@dataclass(frozen=True)
class Exchange:
    """A prompt, and what comes back.

    Attributes:
        entry: The prompt.
        text: What comes back: the policy's refusal where it refuses, None where the prompt or the output was dropped.
        refused: Whether the policy refuses the prompt or the output.
        dropped: Whether the policy drops one of them, and refuses neither.
        decision: What was decided about the output; None without a policy, and where the model was not asked.
    """

    entry: Entry
    text: str | None = field(repr=False)
    refused: bool
    dropped: bool
    decision: Decision | None

    def document(self) -> dict[str, object]:
        """JSON values: the prompt as it may be shown, the text, whether it is refused or dropped, and both decisions."""
        decisions = {
            name: None if one is None else one.document()
            for name, one in (("prompt", self.entry.decision), ("output", self.decision))
        }
        return {
            "prompt": self.entry.shown,
            "text": self.text,
            "refused": self.refused,
            "dropped": self.dropped,
            "decisions": decisions,
        }


@dataclass(frozen=True)
class Mitigations:
    """What stands between users and a model.

    Attributes:
        template: What is around each prompt; None puts nothing there.
        moderator: What decides about prompts and outputs; None lets all pass.
    """

    template: PromptTemplate | None = None
    moderator: Moderator | None = None

    def enter(self, prompt: str) -> Entry:
        """Decides about a prompt, and puts what of it may go on into the template. The template itself is not filtered."""
        decision = None if self.moderator is None else self.moderator.prompt(prompt)
        left = prompt if decision is None else decision.text
        asked = left if left is None or self.template is None else self.template.render(left)
        return Entry(prompt if decision is None else decision.shown, asked, decision)

    def leave(self, entry: Entry, output: str | None) -> Exchange:
        """Decides about what the model has written.

        Args:
            entry: The prompt.
            output: What it was answered with, without the prompt; None where the model was not asked.
        """
        decision: Decision | None = None
        text = output
        if text is not None and self.template is not None:
            text = self.template.answer(text)
        if text is not None and self.moderator is not None:
            decision = self.moderator.output(text)
            text = decision.text
        verdicts = [one.action for one in (entry.decision, decision) if one is not None]
        refused = "Refuse" in verdicts
        if refused and self.moderator is not None:
            text = self.moderator.policy.refusal
        return Exchange(entry, text, refused, "Drop" in verdicts and not refused, decision)

    def exchange(self, prompts: Sequence[str], generate: Generate) -> list[Exchange]:
        """What comes back for each prompt; the model is asked once, with all prompts that may go on.

        Raises:
            ValueError: `generate` gives another number of texts than it was asked for.
        """
        entries = [self.enter(prompt) for prompt in prompts]
        asked = [entry.asked for entry in entries if entry.asked is not None]
        outputs = list(generate(asked)) if asked else []
        if len(outputs) != len(asked):
            raise ValueError(f"the model gave {len(outputs)} texts for {len(asked)} prompts")
        left = iter(outputs)
        return [self.leave(entry, None if entry.asked is None else next(left)) for entry in entries]
