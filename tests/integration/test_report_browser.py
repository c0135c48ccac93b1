"""Opens reports in headless Chromium: the style holds under the policy, curves are painted, nothing runs."""

from __future__ import annotations

import struct
import subprocess
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import pytest

from raygen.report.axis import linear_axis
from raygen.report.bars import Counts, draw_histogram
from raygen.report.card import CardPage, render_card
from raygen.report.page import render
from raygen.report.plot import Cloud, draw_plot
from raygen.report.sweep import SweepPage, render_sweep
from tests.integration.chromium import chromium
from tests.unit.evaluation.reports import HOSTILE, hostile_report, report
from tests.unit.report.test_card import card
from tests.unit.report.test_plot import sweep_page

WIDTH, HEIGHT = 1000, 800
BLUE, ORANGE, WHITE = (0x25, 0x63, 0xEB), (0xC2, 0x41, 0x0C), (255, 255, 255)
"""The light colours of the first two curves, and of a card."""

pytestmark = pytest.mark.browser


@dataclass(frozen=True)
class Opened:
    """A page after the browser has opened it: its document, what went to the console, a picture of it."""

    document: str
    console: list[str]
    picture: Path


@pytest.fixture(scope="session")
def browser() -> str:
    return chromium()


def open_page(browser: str, html: str, folder: Path) -> Opened:
    page, picture = folder / "report.html", folder / "report.png"
    page.write_text(html, encoding="utf-8")
    command = [
        *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *("--hide-scrollbars", "--enable-logging=stderr", "--blink-settings=preferredColorScheme=1"),
        *(f"--user-data-dir={folder / 'profile'}", f"--window-size={WIDTH},{HEIGHT}"),
    ]
    dumped = _run([*command, "--dump-dom", page.as_uri()])
    _run([*command, f"--screenshot={picture}", page.as_uri()])
    console = [line for line in dumped.stderr.splitlines() if "CONSOLE" in line]
    return Opened(dumped.stdout, console, picture)


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


class Elements(HTMLParser):
    def __init__(self, document: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))


def pixels(path: Path) -> Iterator[list[tuple[int, int, int]]]:
    """The rows of a PNG file of 8 bits and no interlacing, which is what Chromium writes."""
    data = path.read_bytes()
    place, packed, width, channels = 8, b"", 0, 0
    while place < len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        body = data[place + 8 : place + 8 + length]
        if kind == b"IHDR":
            width, _, depth, color = struct.unpack_from(">IIBB", body)
            assert depth == 8
            channels = {2: 3, 6: 4}[color]
        elif kind == b"IDAT":
            packed += body
        place += 12 + length
    raw, stride = zlib.decompress(packed), width * channels
    above = bytearray(stride)
    for start in range(0, len(raw), stride + 1):
        row = bytearray(raw[start + 1 : start + 1 + stride])
        _unfilter(raw[start], row, above, channels)
        above = row
        yield [(row[i], row[i + 1], row[i + 2]) for i in range(0, stride, channels)]


def _unfilter(kind: int, row: bytearray, above: bytearray, channels: int) -> None:
    if kind == 0:
        return
    left = corner = 0
    for i, byte in enumerate(row):
        if i >= channels:
            left, corner = row[i - channels], above[i - channels]
        if kind == 1:
            row[i] = (byte + left) & 255
        elif kind == 2:
            row[i] = (byte + above[i]) & 255
        elif kind == 3:
            row[i] = (byte + (left + above[i]) // 2) & 255
        else:
            row[i] = (byte + _paeth(left, above[i], corner)) & 255


def _paeth(left: int, up: int, corner: int) -> int:
    guess = left + up - corner
    return min((left, up, corner), key=lambda value: abs(guess - value))


def extent(rows: list[list[tuple[int, int, int]]], color: tuple[int, int, int]) -> tuple[int, int]:
    """How many columns and rows of a picture hold pixels near a colour."""
    r, g, b = color
    near = [
        {x for x, (red, green, blue) in enumerate(row) if abs(red - r) + abs(green - g) + abs(blue - b) < 60}
        for row in rows
    ]
    return len(set().union(*near)), sum(map(bool, near))


def test_a_report_is_styled_and_painted(browser: str, tmp_path: Path) -> None:
    opened = open_page(browser, render(report(state="Failed")), tmp_path)
    assert opened.console == []
    elements = Elements(opened.document).found
    curves = [a for tag, a in elements if tag == "path" and "curve" in a.get("class", "")]
    assert [a["class"] for a in curves] == [
        "curve thin tone0", "curve line tone0", "curve dots tone1", "curve line tone0",
    ]  # fmt: skip
    assert all(a["d"].startswith("M") and "L" in a["d"] for a in curves)
    assert len([a for tag, a in elements if tag == "g" and a.get("class") == "strip"]) >= 60
    # Only where style sheet, policy and geometry all hold are there curves of these colours across the page.
    picture = list(pixels(opened.picture))
    assert (len(picture[0]), len(picture)) == (WIDTH, HEIGHT)
    columns, rows = extent(picture, BLUE)
    assert columns > 0.7 * WIDTH
    assert rows > 150
    assert extent(picture, ORANGE)[0] > 0.3 * WIDTH
    assert extent(picture, WHITE)[0] > 0.85 * WIDTH


def test_a_hostile_report_runs_nothing(browser: str, tmp_path: Path) -> None:
    opened = open_page(browser, render(hostile_report()), tmp_path)
    assert opened.console == []
    elements = Elements(opened.document).found
    assert not {"script", "iframe", "object", "embed", "form", "base"} & {tag for tag, _ in elements}
    assert not [name for _, attributes in elements for name in attributes if name.startswith("on")]
    assert "<title>PWNED" not in opened.document
    assert [a["src"][:22] for tag, a in elements if tag == "img"] == ["data:image/png;base64,"]


def test_a_data_card_is_styled_and_painted(browser: str, tmp_path: Path) -> None:
    counts = [Counts("train", [1, 5, 9, 6, 2]), Counts("validation", [2, 4, 8, 7, 1])]
    drawn = draw_histogram("Lengths of documents", "tokens", [1, 2, 3, 4, 5], 6, counts)
    assert drawn is not None
    opened = open_page(browser, render_card(CardPage("digits", "some", histograms=[drawn])), tmp_path)
    assert opened.console == []
    picture = list(pixels(opened.picture))
    # Bars are a little transparent.
    columns, rows = extent(picture, (0x4C, 0x7F, 0xEF))
    assert columns > 0.6 * WIDTH
    assert rows > 150
    assert extent(picture, ORANGE)[0] > 0.6 * WIDTH


def test_a_hostile_data_card_runs_nothing(browser: str, tmp_path: Path) -> None:
    opened = open_page(browser, render_card(card(HOSTILE)), tmp_path)
    assert opened.console == []
    elements = Elements(opened.document).found
    assert not {"script", "iframe", "object", "embed", "form", "base"} & {tag for tag, _ in elements}
    assert "<title>PWNED" not in opened.document


def test_a_sweep_is_styled_and_painted(browser: str, tmp_path: Path) -> None:
    axes = linear_axis(0.0, 100.0), linear_axis(0.0, 1.0)
    points = [(float(number), number / 100) for number in range(101)]
    plot = draw_plot("loss", "trial", axes, clouds=[Cloud("completed", "disc", 1, points)])
    opened = open_page(
        browser, render_sweep(SweepPage("rates", "some", "Running", "", history=[plot])), tmp_path
    )
    assert opened.console == []
    # Points are lines without length: that they are seen at all rests on their round ends.
    columns, rows = extent(list(pixels(opened.picture)), (0xDA, 0x8C, 0x6D))
    assert columns > 0.4 * WIDTH
    assert rows > 100


def test_a_hostile_sweep_runs_nothing(browser: str, tmp_path: Path) -> None:
    opened = open_page(browser, render_sweep(sweep_page(HOSTILE)), tmp_path)
    assert opened.console == []
    elements = Elements(opened.document).found
    assert not {"script", "iframe", "object", "embed", "form", "base"} & {tag for tag, _ in elements}
    assert "<title>PWNED" not in opened.document


def test_the_policy_stops_what_escaping_would_miss(browser: str, tmp_path: Path) -> None:
    """Also shows that the tests above would see a script that runs or a policy that is broken."""
    html = render(report())
    script = "<script>document.title = 'PWNED'; console.error('PWNED')</script>"
    address = "<img src='http://127.0.0.1:9/spy.png'>"
    opened = open_page(
        browser, html.replace("<main>", f"<main style='color:red'>{script}{address}"), tmp_path
    )
    assert len(opened.console) == 3
    assert all("Content Security Policy" in line for line in opened.console)
    assert "<title>PWNED" not in opened.document
    policy = html.index("<meta http-equiv")
    unprotected = html[:policy] + html[html.index(">", policy) + 1 :].replace("<main>", f"<main>{script}")
    opened = open_page(browser, unprotected, tmp_path)
    assert "PWNED" in opened.console[0]
    assert "<title>PWNED" in opened.document
