from __future__ import annotations

from collections.abc import Sequence

import pytest

from raygen.moderation.mitigations import Mitigations
from raygen.moderation.moderator import Moderator
from raygen.moderation.policy import Policy
from raygen.moderation.templates import PromptTemplate
from raygen.spec import parse_kind

TEMPLATE = parse_kind(PromptTemplate, {"name": "t", "form": "Q: {prompt}\nA: {output}"})
POLICY = {
    "name": "p",
    "prompts": [
        {"type": "Secret", "action": "Refuse"},
        {"type": "BlockList", "words": ["quaff"], "action": "Drop"},
        {"type": "PersonalData", "action": "Mask"},
    ],
    "outputs": [
        {"type": "PersonalData", "kinds": ["Email"], "action": "Mask"},
        {"type": "BlockList", "words": ["zorkle"], "action": "Refuse"},
        {"type": "BlockList", "words": ["flurb"], "action": "Drop"},
    ],
    "refusal": "No.",
}
KEY = "AKIAIOSFODNN7EXAMPLE"


def mitigations(template: PromptTemplate | None = TEMPLATE) -> Mitigations:
    return Mitigations(template, Moderator(parse_kind(Policy, POLICY)))


class Model:
    """Answers as it is told, and keeps what it was asked."""

    def __init__(self, *answers: str) -> None:
        self.asked: list[str] = []
        self._answers = answers

    def __call__(self, prompts: Sequence[str]) -> Sequence[str]:
        self.asked += prompts
        return self._answers


def test_prompts_and_outputs_are_filtered_on_their_way() -> None:
    model = Model(" mail a@b.org\nQ: next", " a z0rkle", " flurb", " fine")
    prompts = [f"key {KEY}", "one 8.8.8.8", "two", "a quaff", "three", "four"]
    exchanges = mitigations().exchange(prompts, model)
    assert model.asked == ["Q: one [IP]\nA:", "Q: two\nA:", "Q: three\nA:", "Q: four\nA:"]
    assert [(one.text, one.refused, one.dropped) for one in exchanges] == [
        ("No.", True, False),
        (" mail [EMAIL]", False, False),
        ("No.", True, False),
        (None, False, True),
        (None, False, True),
        (" fine", False, False),
    ]
    assert [one.entry.shown for one in exchanges][:2] == ["key [SECRET]", "one [IP]"]
    assert exchanges[0].decision is None
    assert all(KEY not in str(one.document()) and KEY not in repr(one) for one in exchanges)


def test_nothing_in_between_changes_nothing() -> None:
    (exchange,) = Mitigations().exchange([KEY], Model(f"{KEY}\nQ: on"))
    assert (exchange.entry.asked, exchange.text) == (KEY, f"{KEY}\nQ: on")
    assert exchange.document() == {
        "prompt": KEY,
        "text": f"{KEY}\nQ: on",
        "refused": False,
        "dropped": False,
        "decisions": {"prompt": None, "output": None},
    }


def test_a_model_is_not_asked_for_nothing_and_has_to_answer_all() -> None:
    model = Model()
    assert mitigations().exchange([KEY], model)[0].refused
    assert model.asked == []
    with pytest.raises(ValueError, match="0 texts for 1 prompts"):
        mitigations().exchange(["one"], model)
