from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.report.chart import Curve, draw
from raygen.report.page import (
    MAX_PICTURE_BYTES,
    MAX_PICTURES_BYTES,
    MAX_SETS,
    SampleSet,
    groups,
    picture,
    render,
)
from tests.budget import examples
from tests.unit.evaluation.reports import HOSTILE, hostile_report, png, report

TAGS = {
    *("html", "head", "meta", "title", "link", "style", "body", "main", "header", "footer", "section"),
    *("p", "div", "span", "h1", "h2", "h3", "dl", "dt", "dd", "ul", "li", "figure", "figcaption"),
    *("table", "thead", "tbody", "tr", "th", "td", "details", "summary", "pre", "b", "strong", "img"),
    *("svg", "desc", "g", "path", "line", "rect", "circle", "text"),
}
VOID = {"meta", "link", "img"}
ANYTHING = st.text(st.characters(codec=None, exclude_categories=()), max_size=200)


class Page(HTMLParser):
    """A page as its tags, attributes and texts; what is not well nested fails."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"an attribute of {tag} is there twice"
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def check_inert(html: str) -> Page:
    """Asserts that a page holds only what the template puts there."""
    page = Page(html)
    assert {tag for tag, _ in page.tags} <= TAGS
    for tag, attributes in page.tags:
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href"):
            assert attributes.get(name, "data:").startswith("data:"), tag
    html.encode("utf-8")
    return page


def test_the_policy_allows_the_style_sheet_by_its_hash_and_nothing_more() -> None:
    html = render(report())
    style = re.search("<style>(.*?)</style>", html, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = next(m["content"] for m in Page(html).all("meta") if m.get("http-equiv"))
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    )


def test_a_report_says_what_happened() -> None:
    page = check_inert(render(report()))
    for said in (
        "shakespeare", "Transformer, 804,096 parameters", "Succeeded", "Completed", "2,000 of 2,000",
        "2026-11-24 03:00:00 UTC", "2 min 23 s", "1.631", "nats/token", "best 1.6201 at step 1,750",
        "ROMEO:", "But soft", "SIGTERM", "1.640", "★", "layers 4", "python 3.11.7", "1115394",
    ):  # fmt: skip
        assert said in page.text


def test_a_failure_says_why_and_what_to_do() -> None:
    page = Page(
        render(report(state="Failed", explanation="The loss became nan", remedy="Lower the rate.", step=500))
    )
    assert "The loss became nan What to do: Lower the rate." in page.text
    assert any(a.get("aria-label") == "25.0 % of the steps are done" for a in page.all("svg"))


def test_a_run_without_anything_has_a_report() -> None:
    empty = report(
        charts=(), figures=(), samples=(), attempts=(), checkpoints=(), configuration=None, environment=None,
        explanation="", started=None, ended=None, step=0, steps=0, state="Running",
    )  # fmt: skip
    assert "Nothing has been measured yet." in check_inert(render(empty)).text


def test_curves_are_drawn_and_described() -> None:
    page = check_inert(render(report()))
    labelled = [svg for svg in page.all("svg") if svg.get("role") == "img" and "aria-labelledby" in svg]
    assert len(labelled) == 2
    described = {a["id"] for tag, a in page.tags if tag in ("title", "desc") and "id" in a}
    assert all(set(svg["aria-labelledby"].split()) <= described for svg in labelled)
    assert len([a for a in page.all("path") if "curve" in a.get("class", "")]) == 4
    assert "step 1,250 each step" in page.text


def test_a_hostile_run_changes_nothing_but_text() -> None:
    page = check_inert(render(hostile_report()))
    assert "{{ 7 * 191 }}" in page.text
    assert str(7 * 191) not in page.text
    assert "not a PNG file" in page.text
    assert len(render(hostile_report())) < 300_000


@examples(60)
@given(ANYTHING, ANYTHING)
def test_no_text_gets_out_of_its_place(one: str, two: str) -> None:
    curve = draw(one, two, [Curve(two, [(0, 1.0), (1, 2.0)])])
    assert curve is not None
    check_inert(
        render(
            report(
                title=one,
                explanation=two,
                charts=(curve,),
                samples=(SampleSet(1, ((one, two),)),),
                attempts=({one: two},),
                configuration={one: {two: one}},
            )
        )
    )


def test_many_samples_are_spread_and_counted() -> None:
    sets = tuple(SampleSet(step, (("", f"text {step}"),)) for step in range(100))
    page = Page(render(report(samples=sets)))
    assert len(page.all("details")) == MAX_SETS
    assert f"{MAX_SETS} of 100 steps are shown" in page.text
    assert page.text.index("step 99") < page.text.index("step 0 ")


def test_many_rows_are_cut_to_the_newest() -> None:
    page = Page(render(report(attempts=tuple({"attempt": n} for n in range(1, 251)))))
    assert "The newest 100 of 250." in page.text
    assert len(page.all("td")) == 100 + 3


def test_a_picture_has_its_size_and_is_embedded() -> None:
    image = Page(render(report())).all("img")[0]
    assert (image["width"], image["height"]) == ("2", "2")
    assert base64.b64decode(image["src"].removeprefix("data:image/png;base64,")) == png()
    assert image["alt"] == "Sample 1 after 2000 steps"


@pytest.mark.parametrize("data", [b"", b"GIF89a", png()[:20], b"<svg onload=alert(1)>"])
def test_what_is_no_picture_is_left_out_with_a_reason(data: bytes) -> None:
    assert picture(data).source is None
    assert picture(data).reason == "not a PNG file"


def test_pictures_are_bounded_one_by_one_and_together() -> None:
    assert picture(png() + bytes(MAX_PICTURE_BYTES)).source is None
    large = png() + bytes(MAX_PICTURE_BYTES - 200)
    html = render(report(samples=tuple(SampleSet(i, (), (large,) * 4) for i in range(8))))
    assert len(html) < MAX_PICTURES_BYTES * 4 / 3 + 1_000_000
    assert "the report is large enough" in html
    assert html.index("data:image/png") < html.index("the report is large enough")


def test_a_document_becomes_groups_of_rows() -> None:
    document = {
        "kind": "TrainingJob",
        "suspend": False,
        "nothing": None,
        "spec": {
            "seed": 1,
            "model": {"type": "GAN", "gan": {"layers": 4}},
            "data": {"sources": [{"uri": "a"}, {"uri": "b"}], "betas": [0.9, 0.99], "none": []},
        },
    }
    assert groups(document) == [
        ("", [("kind", "TrainingJob"), ("suspend", "false"), ("seed", "1")]),
        ("model", [("type", "GAN"), ("gan.layers", "4")]),
        ("data", [("sources[0].uri", "a"), ("sources[1].uri", "b"), ("betas", "0.9, 0.99")]),
    ]


def test_a_deep_document_ends() -> None:
    deep: dict[str, object] = {"end": HOSTILE}
    for _ in range(200):
        deep = {"a": deep}
    assert len(render(report(configuration=deep))) < 500_000
