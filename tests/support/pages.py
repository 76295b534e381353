"""The server of the pages for tests, asked directly or by a real browser in which nothing may go wrong."""

import http.client
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.commands import environment

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
seen_by_a_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")


def launched() -> Iterator[Browser]:
    """A browser, for a fixture."""
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield found
        found.close()


class Served(NamedTuple):
    folder: Path
    address: str
    """with the secret"""
    pid: int

    @property
    def origin(self) -> str:
        return self.address.partition("/?")[0]

    @property
    def port(self) -> int:
        return urlsplit(self.address).port or 0

    @property
    def secret(self) -> str:
        return self.address.partition("secret=")[2]

    def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
        """As who knows the secret does, unless a header says otherwise."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, headers={"Cookie": f"artstore-{self.port}={self.secret}"} | headers)
            response = connection.getresponse()
            return response, response.read()
        finally:
            connection.close()


def serve(folder: Path, home: Path) -> Iterator[Served]:
    told = environment(home, ARTSTORE_DIR=str(folder / ".artifacts"))
    command = [sys.executable, "-m", "artstore", "ui", "--no-browser"]
    with subprocess.Popen(command, cwd=folder, env=told, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield Served(folder, server.stdout.readline().split()[0], server.pid)
        finally:
            server.send_signal(signal.SIGINT)
            assert server.wait(30) == 0, "which is how it ends"


class Watched(NamedTuple):
    """A tab, and what must not happen in it."""

    page: Page
    wrong: list[str]
    origin: str

    def open(self, path: str) -> Page:
        self.page.goto(self.origin + path)
        if self.page.locator(".charts").count():
            self.page.wait_for_selector("figure canvas")
        return self.page


def _said(text: str) -> bool:
    """Whether the browser only says that a file isn't there, or that a frame's sandbox let no script run."""
    return "404" in text or text.startswith("Blocked script execution in ")


def watched(browser: Browser, served: Served, scheme: Any = "light") -> Watched:
    page = browser.new_context(color_scheme=scheme, viewport={"width": 1200, "height": 800}).new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    page.on(
        "console",
        lambda message: wrong.append(message.text) if message.type == "error" and not _said(message.text) else None,
    )
    page.on("dialog", lambda dialog: (wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.on(
        "request",
        lambda asked: None if asked.url.startswith((served.origin, "data:")) else wrong.append(f"asked {asked.url}"),
    )
    page.goto(served.address)
    assert page.url == served.origin + "/", "the secret does not stay in the address"
    return Watched(page, wrong, served.origin)


def violations(page: Page) -> list[dict[str, Any]]:
    """What makes a page hard to use for some. What axe finds right is not reported, which would take half of the time."""
    found: list[dict[str, Any]] = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return found


def until(page: Page, condition: str) -> None:
    """Wait until an expression is true, asked anew: `wait_for_function` needs `eval`, which the pages' policy forbids."""
    deadline = time.monotonic() + 30
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, f"never: {condition}"
        page.wait_for_timeout(20)
