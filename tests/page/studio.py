"""A real service with a worker, and Chromium to look at its page; all of it is gone when the tests are over."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import urlsplit

from netwright.client import Client
from tests.service.house import House

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
    "--metrics-recording-only",
]
EVALUATIONS = 4


class Studio:
    """The service, and the ids of what is on it."""

    def __init__(self, settings, folder):
        self.settings = settings
        # As many rounds as a busy machine needs; nets that are known well enough stop earlier.
        self.house = House(settings, folder, NETWRIGHT_MEASURE_ROUNDS="60")
        self.server = self.house.serve()
        self.worker = self.house.start("worker")
        self.client = Client(self.house.url, timeout=600.0)

    @property
    def url(self):
        return self.house.url

    def stop(self):
        """The service process dies; the worker goes on."""
        self.server.kill()
        self.server.wait(30)

    def restart(self):
        """The service process dies, if it has not yet, and another one takes its port."""
        self.stop()
        self.server = self.house.serve()

    def close(self):
        self.client.close()
        self.house.close()


class Watch:
    """What a page must not do: write an error to the console, or ask another host."""

    def __init__(self, page, url):
        self.host, self.errors, self.strangers = urlsplit(url).netloc, [], []
        page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._request)

    def _request(self, request):
        parts = urlsplit(request.url)
        if parts.scheme not in ("blob", "data") and parts.netloc != self.host:
            self.strangers.append(request.url)

    def forgive(self, *words):
        """Errors that a test provokes: the browser logs each refused request and each lost connection."""
        self.errors = [text for text in self.errors if not any(word in text for word in words)]


def open_view(page, url, path):
    """Show a view and wait until it is drawn."""
    page.goto(f"{url}/#{path}")
    page.wait_for_selector("main:not([aria-busy]) h1", timeout=120_000)


def wait_for_charts(page):
    """Every chart that has something to draw is drawn."""
    page.locator(".chart .main-svg").first.wait_for(timeout=120_000)


def wait_until_drawn(page):
    """Every chart is drawn, or says that it has nothing to draw."""
    waiting = page.locator(".chart-wait", has_text="Loading")
    until(page, lambda: waiting.count() == 0)
    page.wait_for_load_state("networkidle")


def until(page, condition, seconds=240):
    """Wait for something that the page shows sooner or later."""
    for _ in range(seconds * 10):
        if condition():
            return
        page.wait_for_timeout(100)
    raise AssertionError("it did not happen")


def traces(page, chart):
    """Name to ``(x, y, customdata)`` of what Plotly drew."""
    found = chart.evaluate("node => node.data.map(t => [t.name, t.x, t.y, t.customdata ?? []])")
    return {name: (list(x), list(y), list(ids)) for name, x, y, ids in found}


def axe_source():
    """The script of axe-core, from a wheel that holds it."""
    import axe_playwright_python

    return (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
