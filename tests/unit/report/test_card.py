"""The page of a data card, and its histograms."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.report.bars import Counts, draw_histogram
from raygen.report.card import MAX_CLASSES, CardPage, ClassCount, Identity, SplitSamples, Verdict, render_card
from raygen.report.chart import HEIGHT
from raygen.report.page import Figure
from tests.budget import examples
from tests.unit.evaluation.reports import HOSTILE, png
from tests.unit.report.test_page import check_inert

SOME = st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), min_size=1, max_size=70)


def card(text: str = "a text", **changes: object) -> CardPage:
    drawn = draw_histogram(text, text, [0, 4, 8], 12, [Counts("train", [5, 1, 0]), Counts(text, [1, 0, 1])])
    assert drawn is not None
    values: dict[str, object] = {
        "title": text,
        "subtitle": text,
        "figures": [Figure(text, 3, text, text)],
        "verdict": Verdict(True, text),
        "samples": [SplitSamples("train", [text, text], [(text, png()), ("", b"no picture")])],
        "histograms": [drawn],
        "classes": [ClassCount(text, 3, 1), ClassCount("other", 0, 0)],
        "splits": [{"split": text, "documents": 3}],
        "sources": [{"source": text}],
        "cleaning": [{"what": text, "seen": None, "changed": 2}],
        "idle": [text],
        "identity": [Identity(text, text, text)],
        "recipe": {"data": {text: text}},
        "versions": {"raygen": text},
    }
    return CardPage(**(values | changes))  # type: ignore[arg-type]


def test_a_card_says_what_it_is_given() -> None:
    page = check_inert(render_card(card(verdict=Verdict(False, "they overlap"))))
    for said in (
        "a text, data card",
        "they overlap",
        "train",
        "5 (83.33 %)",
        "other",
        "Nothing was touched by a text",
    ):
        assert said in page.text
    assert len(page.all("img")) == 1
    bars = [each for each in page.all("rect") if "bar" in each.get("class", "")]
    # One in the legend, two that are not empty, and two for each class.
    assert len(bars) == 1 + 2 + 4


def test_an_empty_card_is_a_page() -> None:
    page = check_inert(render_card(CardPage("nothing", "")))
    assert "Nothing was left out or changed." in page.text
    assert not page.all("figure")


def test_many_classes_are_cut_off_with_a_word() -> None:
    page = check_inert(render_card(card(classes=[ClassCount(f"class {n}", n, 1) for n in range(100)])))
    assert f"The first {MAX_CLASSES} of 100" in page.text
    assert "class 39" in page.text
    assert "class 40" not in page.text


def test_hostile_data_changes_nothing_but_text() -> None:
    page = check_inert(render_card(card(HOSTILE)))
    assert "{{ 7 * 191 }}" in page.text
    assert str(7 * 191) not in page.text


@examples(60)
@given(SOME)
def test_bars_stay_in_the_plot_and_rise_with_counts(counts: list[tuple[int, int]]) -> None:
    starts = list(range(0, 4 * len(counts), 4))
    parts = [Counts("train", [one for one, _ in counts]), Counts("validation", [two for _, two in counts])]
    drawn = draw_histogram("lengths", "tokens", starts, starts[-1] + 4, parts)
    if not any(one or two for one, two in counts):
        assert drawn is None
        return
    assert drawn is not None
    assert len(drawn.bins) == len(counts)
    for part, shown in zip([each for each in parts if any(each.counts)], drawn.parts, strict=True):
        filled = [count for count in part.counts if count]
        assert len(shown.bars) == len(filled)
        for bar in shown.bars:
            assert 0 <= bar.left <= bar.left + bar.width <= 100.01
            assert 0 <= bar.top <= HEIGHT
            assert 0 < bar.height <= HEIGHT
        heights = dict(zip(filled, shown.bars, strict=True))
        ordered = [heights[count].height for count in sorted(heights)]
        assert ordered == sorted(ordered)


def test_a_bar_that_would_hide_all_others_is_cut_off_with_a_word() -> None:
    drawn = draw_histogram("values", "value", [0, 4, 8, 12], 16, [Counts("train", [970, 10, 10, 10])])
    assert drawn is not None
    assert drawn.note == "value 0 to 3: 97 %, cut off"
    assert drawn.parts[0].bars[0].height == HEIGHT
    assert drawn.parts[0].bars[1].height > HEIGHT / 4
    assert re.search("train 970 .97.00 %.", drawn.bins[0].text)


@pytest.mark.parametrize(
    ("starts", "end", "spans"),
    [([1, 2, 3], 4, ["1", "2", "3"]), ([0, 1024], 2048, ["0 to 1,023", "1,024 to 2,047"])],
)
def test_bins_say_what_they_hold(starts: list[int], end: int, spans: list[str]) -> None:
    drawn = draw_histogram("lengths", "tokens", starts, end, [Counts("train", [1] * len(starts))])
    assert drawn is not None
    assert [each.text.splitlines()[0] for each in drawn.bins] == [f"tokens {span}" for span in spans]
