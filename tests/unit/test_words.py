"""The words of pages and messages, as docs/glossary.md has them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RECORDS = ("CHANGELOG.md", "decisions.md", "glossary.md")
IS_NO = r"(?:is|are|was|were|be|been)\s+no\b"
IS_NO_NOUN = IS_NO + r"\s+(?!longer|more|less|fewer|later|earlier|larger|smaller|higher|lower)\w+"
"""Instead of it the glossary has "is not a"."""
THERE_IS_NO = re.compile(rf"\bthere(?:\s+\w+)?\s+{IS_NO}", re.IGNORECASE)
AVOIDED = re.compile(rf"\b(?:mend|mends|anew|whoever|{IS_NO_NOUN})\b", re.IGNORECASE)


def sentences() -> Iterator[tuple[str, str]]:
    """What users read, and where: pages but for records, the chart, and texts in the code that are not docstrings."""
    chart = [path for path in ROOT.glob("charts/raygen/**/*") if path.suffix in (".md", ".yaml", ".json")]
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *chart):
        if path.name not in RECORDS:
            yield re.sub(r"`[^`]*`", "", path.read_text()), str(path.relative_to(ROOT))
    for path in sorted((ROOT / "raygen").rglob("*.py")):
        tree = ast.parse(path.read_text())
        plain = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in plain:
                yield node.value, f"{path.relative_to(ROOT)}:{node.lineno}"


def avoided(text: str) -> str:
    """The first of the words that the glossary does not use; empty if there are none."""
    found = AVOIDED.search(THERE_IS_NO.sub("", text))
    return found[0] if found else ""


def test_what_users_read_has_the_words_of_the_glossary() -> None:
    assert not [(where, found) for text, where in sentences() if (found := avoided(text))]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("'x' is no word of music", "is no word"),
        ("lines that are\nno sentences", "are\nno sentences"),
        ("Whoever makes it anew", "Whoever"),
        ("there is no file; there would be no end", ""),
        ("it is no longer there, and is no more than 3", ""),
    ],
)
def test_is_no_is_found_before_a_noun_alone(text: str, found: str) -> None:
    assert avoided(text) == found
