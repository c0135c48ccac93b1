from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.errors import InputError, RunError, ValidationError
from raygen.moderation.decision import Decision
from raygen.moderation.moderator import Moderator
from raygen.moderation.policy import Policy
from raygen.spec import parse_kind
from tests.budget import examples

KEY = "AKIAIOSFODNN7EXAMPLE"


def moderator(*prompts: dict[str, Any], base: Path | None = None, **fields: Any) -> Moderator:
    return Moderator(parse_kind(Policy, {"name": "p", "prompts": list(prompts), **fields}), base)


MASK_ALL = (
    {"type": "BlockList", "words": ["zorkle", "bad phrase", "blocked"], "action": "Mask"},
    {"type": "PersonalData", "action": "Mask"},
    {"type": "Secret", "action": "Mask", "random": True},
)


def check_exact(text: str, decision: Decision) -> None:
    """The text is the original but for spans that were found, which are replaced by their placeholders."""
    assert decision.text is not None
    spans = sorted(span for one in decision.findings for span in one.spans)
    kept, end = [], 0
    for start, stop in spans:
        assert end <= start < stop <= len(text)
        kept.append(text[end:start])
        end = stop
    rest = decision.text
    for part in kept:
        assert rest.startswith(part)
        rest = rest[len(part) :]
        assert rest.startswith("[")
        rest = rest[rest.index("]") + 1 :]
    assert rest == text[end:]


PIECES = st.lists(
    st.sampled_from(
        [
            *(
                "zorkle",
                "z0rkle",
                "z o r k l e",
                "Zоrkle",
                "bad\nphrase",
                "jane@example.org",
                KEY,
                "4111111111111111",
            ),
            *(
                "[BLOCKED]",
                "blocked",
                "[",
                "]",
                " ",
                "é",
                "\u200b",
                "+49 30 1234567",
                "8.8.8.8",
                "[EMAIL]",
                "@",
                "\ud800",
            ),
        ]
    )
    | st.text(max_size=4)
).map("".join)


@given(PIECES)
@examples(150)
def test_masking_changes_only_what_was_found_and_a_second_time_nothing(text: str) -> None:
    decides = moderator(*MASK_ALL)
    decision = decides.prompt(text)
    check_exact(text, decision)
    again = decides.prompt(decision.text or "")
    assert again.text == decision.text
    assert again.action == "Pass"
    assert decision.action == ("Mask" if decision.findings else "Pass")
    assert decision.shown == decision.text


@given(st.text(), st.text())
@examples(60)
def test_decisions_are_the_same_each_time_and_show_nothing_that_was_found(before: str, after: str) -> None:
    decides = moderator({"type": "Secret", "action": "Refuse"}, {"type": "PersonalData", "action": "Log"})
    text = f"{before} {KEY} jane@example.org {after}"
    decision = decides.prompt(text)
    assert decision == decides.prompt(text)
    assert decision.action == "Refuse"
    assert decision.text is None
    for shown in (decision.shown, repr(decision), str(decision), json.dumps(decision.document())):
        assert KEY not in shown
        assert "jane@example.org" not in shown


def test_pieces_without_a_border_between_them_are_masked_one_after_the_other() -> None:
    decision = moderator(*MASK_ALL).prompt("+49 30 1234567" * 200)
    assert decision.text == "[PHONE]" * 200
    assert len(decision.findings[0].spans) == 200


@pytest.mark.parametrize(
    ("action", "text"), [("Log", f"my {KEY}"), ("Mask", "my [SECRET]"), ("Drop", None), ("Refuse", None)]
)
def test_each_action(action: str, text: str | None) -> None:
    decision = moderator({"type": "Secret", "action": action}).prompt(f"my {KEY}")
    assert (decision.action, decision.text, decision.shown) == (action, text, "my [SECRET]")
    (finding,) = decision.findings
    assert (finding.filter, finding.category, finding.spans) == ("prompts[0]", "Secret", ((3, 23),))
    assert moderator({"type": "Secret", "action": action}).prompt("harmless").action == "Pass"


def test_the_strictest_action_decides_and_filters_see_what_those_before_have_left() -> None:
    policy = (
        {"type": "BlockList", "words": ["zorkle"], "action": "Mask", "category": "Nonsense"},
        {"type": "BlockList", "words": ["zorkle", "quaff"], "action": "Drop"},
    )
    decides = moderator(*policy)
    assert decides.prompt("a z0rkle").text == "a [NONSENSE]"
    both = decides.prompt("a zorkle, a quaff")
    assert (both.action, both.text, both.shown) == ("Drop", None, "a [NONSENSE], a [BLOCKED]")


def test_prompts_and_outputs_have_filters_of_their_own() -> None:
    decides = moderator(
        {"type": "Secret", "action": "Refuse"},
        outputs=[{"type": "PersonalData", "kinds": ["Email"], "action": "Mask"}],
    )
    assert decides.prompt("a@b.org").action == "Pass"
    assert decides.output(f"{KEY} a@b.org 8.8.8.8").text == f"{KEY} [EMAIL] 8.8.8.8"


def test_a_block_list_may_be_a_file_and_is_part_of_the_version(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("name: p\nprompts:\n- {type: BlockList, uri: words.txt, action: Drop}\n")
    (tmp_path / "words.txt").write_text("zorkle\n\nbad  phrase\n")
    first = Moderator.of_file(path)
    assert first.prompt("a bad phrase").action == "Drop"
    assert first.version == Moderator.of_file(path).version
    (tmp_path / "words.txt").write_text("zorkle\n")
    assert Moderator.of_file(path).version != first.version


def test_faults_are_told_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(
        "name: p\nprompts:\n- {type: Secret, action: Refuze}\n- {type: Secret, action: Mask, words: [a]}\n"
        "outputs:\n- {type: BlockList, action: Mask}\n- {type: Pattern, action: Mask}\n- {type: Classifier, action: Mask}\n"
    )
    with pytest.raises(ValidationError) as caught:
        Moderator.of_file(path)
    assert [(one.path, one.line) for one in caught.value.faults] == [
        ("prompts[0].action", 3),
        ("prompts[1].words", 4),
        ("outputs[0]", 6),
        ("outputs[1].patterns", 7),
        ("outputs[2].entrypoint", 8),
    ]


CLASSIFIER = """
def by_length(texts):
    return [{"Long": min(len(text) / 10, 1.0), "Short": 1 - min(len(text) / 10, 1.0)} for text in texts]

def broken(texts):
    raise KeyError(texts[0])

def odd(texts):
    return [{"Long": 2.0} for text in texts]

nothing = None
"""


@pytest.fixture
def module(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    name = f"classifier_of_{request.node.name.partition('[')[0]}"
    (tmp_path / f"{name}.py").write_text(CLASSIFIER)
    return name


def test_a_classifier_sees_the_whole_text_as_it_was_masked(module: str, tmp_path: Path) -> None:
    spec = {
        "type": "Classifier",
        "entrypoint": f"{module}:by_length",
        "action": "Refuse",
        "categories": ["Long"],
    }
    decides = moderator({"type": "PersonalData", "action": "Mask"}, spec, base=tmp_path)
    # Ten characters become one placeholder, and with it four more.
    assert decides.prompt("a").action == "Pass"
    decision = decides.prompt("abcdef 4111111111111111")
    assert decision.action == "Refuse"
    assert [(one.category, one.probability) for one in decision.findings] == [
        ("CreditCard", None),
        ("Long", 1.0),
    ]
    assert decision.findings[1].spans == ((0, 23),)
    assert decision.shown == "[LONG]"
    masks = moderator(spec | {"action": "Mask", "threshold": 0.9}, base=tmp_path)
    assert masks.prompt("abcdefgh").action == "Pass"
    once = masks.prompt("abcdefghi").text
    assert once == "[LONG]"
    assert masks.prompt(once).action == "Pass"
    assert masks.prompt(" ").action == "Pass"


@pytest.mark.parametrize("function", ["broken", "odd"])
def test_a_classifier_that_fails_is_told_without_the_text(module: str, tmp_path: Path, function: str) -> None:
    decides = moderator(
        {"type": "Classifier", "entrypoint": f"{module}:{function}", "action": "Log"}, base=tmp_path
    )
    with pytest.raises(RunError) as caught:
        decides.prompt("hidden")
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("place", ["missing_module_of_classifiers:f", "{module}:missing", "{module}:nothing"])
def test_a_classifier_that_is_not_there_is_told(module: str, tmp_path: Path, place: str) -> None:
    spec = {"type": "Classifier", "entrypoint": place.format(module=module), "action": "Log"}
    with pytest.raises(InputError):
        moderator(spec, base=tmp_path)


def test_patterns_have_a_category() -> None:
    pytest.importorskip("re2", reason="needs google-re2, of the extra moderation")
    decides = moderator({"type": "Pattern", "patterns": [r"T-\d+"], "category": "Ticket", "action": "Mask"})
    assert decides.prompt("see T-12.").text == "see [TICKET]."
