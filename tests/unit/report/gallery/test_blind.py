"""Blind pages: nothing in them says who made what, and the key does."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import struct
import zlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.errors import DataError
from raygen.report.gallery.blind import blind_page
from raygen.report.gallery.items import plain_png
from raygen.report.gallery.page import Item, gallery_page
from tests.budget import examples
from tests.unit.evaluation.reports import HOSTILE, png

MODELS = {
    name: [f"{letter}{number}" for number in range(20)]
    for name, letter in (("secret-gan", "x"), ("secret-vae", "y"))
}


def data(html: str) -> dict[str, list[dict[str, object]]]:
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    parsed: dict[str, list[dict[str, object]]] = json.loads(found)
    return parsed


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@examples(25)
@given(st.integers(0, 2**31), st.integers(2, 4), st.integers(1, 7), st.integers(0, 30))
def test_the_key_says_what_the_page_shows(seed: int, models: int, count: int, more: int) -> None:
    sets = {f"model {letter}": [f"{letter}{number}" for number in range(count)] for letter in "abcd"[:models]}
    limit = models * (models - 1) // 2 + more
    html, key = blind_page(sets, seed=seed, title="round 1", pairs=limit)
    shown = data(html)
    assert "model" not in json.dumps(shown)
    assert len(key["pairs"]) == len(shown["pairs"]) == min(limit, count * models * (models - 1) // 2)
    for row, pair in zip(shown["pairs"], key["pairs"], strict=True):
        assert row["pair"] == pair["pair"]
        assert shown["items"][int(str(row["left"]))] == {"text": sets[pair["left"]][pair["sample"]]}
        assert shown["items"][int(str(row["right"]))] == {"text": sets[pair["right"]][pair["sample"]]}
    matches = Counter(tuple(sorted((pair["left"], pair["right"]))) for pair in key["pairs"])
    assert max(matches.values()) - min(matches.values()) <= 1
    lefts = Counter((pair["left"], pair["right"]) for pair in key["pairs"])
    assert all(abs(lefts[a, b] - lefts[b, a]) <= 1 for a, b in lefts)
    assert (html, key) == blind_page(sets, seed=seed, title="round 1", pairs=limit)


def test_no_name_is_in_the_page_in_any_form() -> None:
    html, key = blind_page(MODELS, seed=3, title="Which one")
    assert "secret" not in html
    assert "secret" in json.dumps(key)
    for name in MODELS:
        digest = hashlib.sha256(name.encode())
        assert not {digest.hexdigest(), base64.b64encode(name.encode()).decode()} & set(
            re.findall(r"[\w+/=]+", html)
        )
    # Codes come from what is seen alone, so that no guess of a name can be tried out on them.
    shown = data(html)
    rows = [{name: value for name, value in row.items() if name != "pair"} for row in shown["pairs"]]
    seen = json.dumps(["Which one", "Which one is better?", shown["items"], rows], sort_keys=True)
    assert key["page"] == hashlib.sha256(seen.encode()).hexdigest()


def test_order_says_nothing_about_the_model() -> None:
    html, key = blind_page(MODELS, seed=0, title="Which one")
    letters = "".join(str(item["text"])[0] for item in data(html)["items"])
    assert letters.count("x") == letters.count("y") == 20
    assert 10 < len(re.findall("xy|yx", letters)) < 30
    assert [pair["sample"] for pair in key["pairs"]] != sorted(pair["sample"] for pair in key["pairs"])
    assert html != blind_page(MODELS, seed=1, title="Which one")[0]


def test_a_picture_keeps_what_is_seen_alone() -> None:
    whole = png(3, 2)
    head, rest = whole[:33], whole[33:]
    named = head + chunk(b"tEXt", b"Software\0secret-gan") + chunk(b"eXIf", b"secret") + rest + b"secret"
    assert plain_png(named, "a picture") == whole
    html, _ = blind_page({"a": [named], "b": [png(2, 2)]}, seed=0, title="t")
    pictures = [str(item["picture"]) for item in data(html)["items"]]
    assert whole in [base64.b64decode(picture.partition(",")[2]) for picture in pictures]


def test_what_texts_hold_cannot_leave_its_place() -> None:
    html, _ = blind_page(
        {"a": [HOSTILE], "b": ["</script><!--<script>"]},
        seed=0,
        title=HOSTILE,
        question=HOSTILE,
        prompts=[HOSTILE],
    )
    assert len(re.findall("<script", html)) == len(re.findall("</script", html)) == 2
    assert "<img src" not in html
    assert data(html)["pairs"][0]["prompt"]
    html.encode()
    shown = gallery_page(HOSTILE, [Item(HOSTILE, HOSTILE), Item(png(), HOSTILE)], subtitle=HOSTILE)
    assert "<script" not in shown
    assert "<iframe" not in shown
    shown.encode()


def test_policies_allow_the_pages_own_parts_alone() -> None:
    html, _ = blind_page(MODELS, seed=0, title="t")
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', html)
    assert re.fullmatch(
        r"default-src 'none'; style-src 'sha256-\S+'; script-src 'sha256-\S+'; img-src data:; base-uri 'none'; form-action 'none'",
        policy,
    )
    assert "script-src" not in gallery_page("t", [Item("a")])


def test_a_gallery_shows_all_with_captions() -> None:
    shown = gallery_page(
        "Digits", [Item(png(2, 2), "a seven"), Item("Once & again", "a story")], subtitle="step 10"
    )
    for text in ("Digits", "step 10", "a seven", "Once &amp; again", "a story", "data:image/png;base64,"):
        assert text in shown


@pytest.mark.parametrize(
    ("sets", "options", "message"),
    [
        ({"a": ["x"]}, {}, "samples to compare"),
        ({"a": ["x"], "b": []}, {}, "samples to compare"),
        ({"a": [], "b": []}, {}, "samples to compare"),
        ({"a": ["x"], "b": ["y"]}, {"prompts": []}, "0 prompts"),
        ({"a": ["x"], "b": ["y"], "c": ["z"]}, {"pairs": 2}, "2 pairs do not compare each of 3"),
        ({"a": ["x"], "b": [b"GIF89a"]}, {}, "not a PNG"),
        ({"a": ["x"], "b": [png()[:-20]]}, {}, "cut off or damaged"),
        ({"a": ["x"], "b": [png().replace(b"IDAT", b"JDAT")]}, {}, "cut off or damaged"),
        ({"a": ["x"], "b": ["y" * 50_001]}, {}, "50,001 characters"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    sets: dict[str, list[str | bytes]], options: dict[str, object], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        blind_page(sets, seed=0, title="t", **options)  # type: ignore[arg-type]


def test_an_empty_or_huge_gallery_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="nothing to show"):
        gallery_page("t", [])
    monkeypatch.setattr("raygen.report.gallery.page.MAX_PAGE_BYTES", 5)
    with pytest.raises(DataError, match="at most"):
        gallery_page("t", [Item("abc"), Item("abc")])
