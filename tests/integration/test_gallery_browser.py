"""A blind comparison in headless Chromium: rated by keys and mouse, closed, opened again, saved, and read back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from raygen.evaluation.ratings.strength import strengths
from raygen.report.gallery.blind import Key, blind_page
from raygen.report.gallery.page import Item, gallery_page
from raygen.report.gallery.ratings import read_raters, read_ratings
from tests.integration.chromium import Tab, chromium, opened
from tests.unit.evaluation.reports import HOSTILE, png

pytestmark = pytest.mark.browser

GOOD, BAD = "a text that is good", "a text that is bad"
SETS = {
    "tuned-secret": [f"{GOOD} {number}" for number in range(6)],
    "base-secret": [f"{BAD} {number}" for number in range(6)],
}


@pytest.fixture
def tab(tmp_path: Path) -> Iterator[Tab]:
    with opened(chromium(), tmp_path) as one:
        yield one


def begin(tab: Tab, page: Path, name: str) -> None:
    tab.open(page)
    assert tab.value("document.querySelector('#begin').disabled")
    tab.click("#rater")
    for letter in name:
        tab.press(letter, letter)
    tab.click("#begin")


def side_of(tab: Tab, text: str) -> str:
    left = tab.value("document.querySelector('#left-item').textContent")
    return "left" if text in left else "right"


def save(tab: Tab, folder: Path) -> Path:
    before = set(folder.glob("ratings-*.json"))
    tab.click("#save")
    tab.until(lambda: bool(set(folder.glob("ratings-*.json")) - before))
    (made,) = set(folder.glob("ratings-*.json")) - before
    return made


def rated(tab: Tab, folder: Path) -> tuple[Path, Key]:
    html, key = blind_page(SETS, seed=2, title="Round 1", prompts=[f"prompt {number}" for number in range(6)])
    page = folder / "blind.html"
    page.write_text(html, encoding="utf-8")
    begin(tab, page, "Ada")
    assert "secret" not in tab.value("document.documentElement.outerHTML")
    # By keys; the second one is a tie, on second thought.
    tab.press("ArrowRight" if side_of(tab, GOOD) == "right" else "ArrowLeft")
    tab.press("ArrowLeft")
    tab.press("Backspace")
    tab.press("t", "t")
    # A key that is held down, and one with Ctrl, rate nothing.
    tab.send("Input.dispatchKeyEvent", type="keyDown", key="ArrowLeft", autoRepeat=True)
    tab.send("Input.dispatchKeyEvent", type="keyDown", key="ArrowLeft", modifiers=2)
    assert "pair 3 of 6, 2 rated" in tab.value("document.querySelector('#place').textContent")
    # Closed and opened again, it goes on where it was.
    begin(tab, page, "Ada")
    assert "pair 3 of 6, 2 rated" in tab.value("document.querySelector('#place').textContent")
    assert tab.value("document.querySelector('#prompt').textContent").startswith("prompt ")
    for _ in range(4):
        tab.click("#" + side_of(tab, GOOD))
    assert tab.value("document.querySelector('#pair').hidden")
    return save(tab, folder), key


def test_what_is_clicked_comes_back_as_strengths(tab: Tab, tmp_path: Path) -> None:
    path, key = rated(tab, tmp_path)
    assert path.name == f"ratings-{key['page'][:8]}-Ada.json"
    games = read_ratings(path, key)
    assert sorted(one.first_share if one.first == "tuned-secret" else 1 - one.first_share for one in games) == [
        0.5, 1, 1, 1, 1, 1,
    ]  # fmt: skip
    found = strengths(games, resamples=100)
    assert list(found) == ["tuned-secret", "base-secret"]
    assert found["tuned-secret"].low > 0
    # Another rater on the same machine begins at the first pair.
    begin(tab, tmp_path / "blind.html", "Bo 2/x")
    assert "pair 1 of 6, 0 rated" in tab.value("document.querySelector('#place').textContent")
    tab.press("t", "t")
    second = save(tab, tmp_path)
    assert second.name.endswith("-Bo_2_x.json")
    assert [(one.name, len(one.answers)) for one in read_raters([path, second], key)] == [
        ("Ada", 6),
        ("Bo 2/x", 1),
    ]
    assert tab.console == []
    assert {address.rpartition("/")[2] for address in tab.requests if address.startswith("file:")} == {
        "blind.html"
    }
    assert [
        address for address in tab.requests if not address.startswith(("file:", "blob:file:", "blob:null"))
    ] == []


def test_a_browser_that_keeps_nothing_says_so_and_saves(tab: Tab, tmp_path: Path) -> None:
    page = tmp_path / "blind.html"
    html, key = blind_page(SETS, seed=2, title="Round 1")
    page.write_text(html, encoding="utf-8")
    refused = "Object.defineProperty(window, 'localStorage', { get() { throw new Error('refused'); } });"
    tab.send("Page.addScriptToEvaluateOnNewDocument", source=refused)
    begin(tab, page, "Ada")
    assert "keeps nothing" in tab.value("document.querySelector('#storage').textContent")
    tab.press("ArrowLeft")
    assert [rater.answers for rater in read_raters(save(tab, tmp_path), key)] == [
        {key["pairs"][0]["pair"]: "left"}
    ]
    assert tab.console == []


def test_hostile_texts_and_pictures_are_shown_and_run_nothing(tab: Tab, tmp_path: Path) -> None:
    page = tmp_path / "blind.html"
    page.write_text(
        blind_page(
            {"a": [HOSTILE], "b": [png()]}, seed=0, title=HOSTILE, question=HOSTILE, prompts=[HOSTILE]
        )[0],
        encoding="utf-8",
    )
    begin(tab, page, "A")
    assert tab.value("document.querySelector('.show img').naturalWidth") == 2
    assert "PWNED" in tab.value("document.querySelector('.show pre').textContent")
    gallery = tmp_path / "gallery.html"
    gallery.write_text(
        gallery_page(HOSTILE, [Item(HOSTILE, HOSTILE), Item(png(), HOSTILE)]), encoding="utf-8"
    )
    tab.open(gallery)
    assert tab.value("document.querySelector('img').naturalWidth") == 2
    assert not tab.value("document.title").startswith("PWNED")
    assert tab.console == []


def test_the_policy_stops_a_script_that_escaping_would_miss(tab: Tab, tmp_path: Path) -> None:
    """Also shows that the tests above would see it."""
    page = tmp_path / "blind.html"
    html, _ = blind_page(SETS, seed=0, title="t")
    page.write_text(
        html.replace("<header>", "<header><script>document.title = 'PWNED'</script>"), encoding="utf-8"
    )
    tab.open(page)
    assert tab.value("document.title") != "PWNED"
    assert any("Content Security Policy" in line for line in tab.console)
