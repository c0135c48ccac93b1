"""Drives headless Chromium over its DevTools protocol: keys, downloads, values and pictures of a page."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websocket import WebSocket, create_connection

PATIENCE_SECONDS = 60


def chromium() -> str:
    """The browser's program; the test is skipped where there is none, which CI does not let pass."""
    found = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    program = next(filter(None, found), None)
    if program is None:
        pytest.skip("Chromium is not installed")
    return program


class Tab:
    """A page in the browser.

    Attributes:
        console: What went to the console, errors and policy violations among it.
        requests: Addresses that were asked for, but for data addresses.
    """

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._number = 0
        self.console: list[str] = []
        self.requests: list[str] = []

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Sends a command and returns its result; events that come before it are taken note of."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message: dict[str, Any] = json.loads(self._socket.recv())
            if message.get("id") == self._number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result
            self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        match message.get("method"):
            case "Log.entryAdded" | "Runtime.exceptionThrown" | "Runtime.consoleAPICalled":
                self.console.append(json.dumps(message["params"]))
            case "Network.requestWillBeSent":
                url = message["params"]["request"]["url"]
                if not url.startswith("data:"):
                    self.requests.append(url)

    def value(self, expression: str) -> Any:
        """What an expression of JavaScript comes to."""
        found = self.send("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def open(self, page: Path) -> None:
        """Goes to a file, and waits until it is loaded."""
        # The page before, which may be of the same file, is loaded too.
        self.value("window.isLeft = true")
        self.send("Page.navigate", url=page.as_uri())
        self.until(
            lambda: self.value(
                "!window.isLeft && document.readyState === 'complete' && location.protocol === 'file:'"
            )
        )

    def press(self, key: str, text: str = "") -> None:
        """Presses and releases a key."""
        named = {"key": key, "text": text} if text else {"key": key}
        self.send("Input.dispatchKeyEvent", type="keyDown", **named)
        self.send("Input.dispatchKeyEvent", type="keyUp", key=key)

    def click(self, selector: str) -> None:
        """Clicks into the middle of an element, as a mouse does."""
        at = self.value(
            f"(() => {{ const box = document.querySelector({json.dumps(selector)}); box.scrollIntoView({{block: 'center'}});"
            " const r = box.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        place = {"x": at[0], "y": at[1], "button": "left", "clickCount": 1}
        self.send("Input.dispatchMouseEvent", type="mousePressed", **place)
        self.send("Input.dispatchMouseEvent", type="mouseReleased", **place)

    def picture(self) -> bytes:
        """The page as it is seen, a PNG file."""
        return base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"])

    def until(self, done: Callable[[], bool]) -> None:
        """Waits until something holds."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not done():
            assert time.monotonic() < end, "it never came"
            time.sleep(0.02)


@contextmanager
def opened(program: str, folder: Path) -> Iterator[Tab]:
    """A tab of a browser of its own, whose downloads go into the folder."""
    profile = folder / "profile"
    command = [
        *(program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *("--hide-scrollbars", "--remote-debugging-port=0", f"--user-data-dir={profile}"),
        *("--window-size=1200,860", "about:blank"),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            told = profile / "DevToolsActivePort"
            end = time.monotonic() + PATIENCE_SECONDS
            while not (told.is_file() and told.read_text().count("\n")):
                assert time.monotonic() < end, "the browser does not start"
                time.sleep(0.05)
            port = told.read_text().splitlines()[0]
            with urllib.request.urlopen(
                f"http://127.0.0.1:{port}/json/list", timeout=PATIENCE_SECONDS
            ) as reply:
                pages = [page for page in json.load(reply) if page["type"] == "page"]
            socket = create_connection(
                pages[0]["webSocketDebuggerUrl"], timeout=PATIENCE_SECONDS, suppress_origin=True
            )
            tab = Tab(socket)
            for domain in ("Page", "Runtime", "Log", "Network"):
                tab.send(f"{domain}.enable")
            tab.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
            yield tab
            socket.close()
        finally:
            process.terminate()
