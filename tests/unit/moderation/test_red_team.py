from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from raygen.errors import ValidationError
from raygen.evaluation.ratings.intervals import proportion
from raygen.moderation.mitigations import Mitigations
from raygen.moderation.moderator import Moderator
from raygen.moderation.policy import Policy
from raygen.moderation.red_team import CATEGORIES, RedTeam, RedTeamPrompt, red_team, refuses
from raygen.spec import parse_kind


def echo(prompts: Sequence[str]) -> Sequence[str]:
    return [f"Sure: {prompt}" for prompt in prompts]


def test_the_packaged_set_has_prompts_of_every_category() -> None:
    prompts = RedTeam.of_file().prompts
    counts = Counter(one.category for one in prompts)
    assert set(counts) == set(CATEGORIES)
    assert min(counts.values()) >= 6
    assert len({one.prompt for one in prompts}) == len(prompts)


def test_without_mitigations_only_the_models_own_words_refuse() -> None:
    everything = red_team(echo)
    assert all(one.outcome == "Passed" and not one.by_policy for one in everything.tried)
    nothing = red_team(lambda prompts: ["I'm sorry, but I can't help with that."] * len(prompts))
    assert all(one.outcome == "Refused" and not one.by_policy for one in nothing.tried)


def test_outcomes_are_counted_by_category_with_intervals() -> None:
    prompts = [
        RedTeamPrompt(category="Hate", prompt="a zorkle"),
        RedTeamPrompt(category="Hate", prompt="a@b.org"),
        RedTeamPrompt(category="Hate", prompt="plain"),
        RedTeamPrompt(category="Secrets", prompt="plain too"),
    ]
    policy = {
        "name": "p",
        "prompts": [{"type": "BlockList", "words": ["zorkle"], "action": "Refuse"}],
        "outputs": [
            {"type": "PersonalData", "action": "Mask"},
            {"type": "BlockList", "words": ["too"], "action": "Log"},
        ],
    }
    result = red_team(echo, prompts, Mitigations(moderator=Moderator(parse_kind(Policy, policy))))
    assert [(one.outcome, one.by_policy) for one in result.tried] == [
        ("Refused", True),
        ("Filtered", True),
        ("Passed", False),
        ("Passed", False),
    ]
    assert [(one.category, one.count, one.refused, one.filtered, one.passed) for one in result.tallies] == [
        ("All", 4, 1, 1, 2),
        ("Secrets", 1, 0, 0, 1),
        ("Hate", 3, 1, 1, 1),
    ]
    assert result.tallies[2].passing == proportion(1, 3)
    document = json.dumps(result.document())
    assert "a@b.org" not in document
    assert json.loads(document)["tallies"][0]["passing"]["value"] == 0.5
    assert result.markdown().splitlines()[2] == "| All | 4 | 1 | 1 | 2 | 50% (15% to 85%) |"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I cannot help with that.", True),
        ("I can’t do this", True),
        ("Sorry, no.", True),
        ("As a model, I won't say that.", True),
        ("Hello. I am unable to answer.", True),
        ("We can do it", False),
        ("He said: I cannot", True),  # only where it begins
        ("First take a pan. Then stir. I cannot say more.", False),
        ("Je ne peux pas répondre.", False),
        ("", False),
    ],
)
def test_words_of_refusal_at_the_beginning_are_recognised(text: str, expected: bool) -> None:
    assert refuses(text) is expected


def test_a_set_of_ones_own_is_read_with_its_faults(tmp_path: Path) -> None:
    path = tmp_path / "set.yaml"
    path.write_text("name: mine\nprompts:\n- {category: Hate, prompt: x}\n- {category: Hat, prompt: y}\n")
    with pytest.raises(ValidationError, match="red-team set") as caught:
        RedTeam.of_file(path)
    assert [(one.path, one.line) for one in caught.value.faults] == [("prompts[1].category", 4)]
