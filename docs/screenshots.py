"""Screenshots of the page, at three widths, light and dark: ``python docs/screenshots.py [URL] [FOLDER]``.

Without a URL it starts a service and a worker in a temporary folder, fills them with small searches on the digits
supernet, and stops them at the end. It also prints when each view was first painted. It needs Playwright
(``pip install 'netwright[dev]'``) and Chromium.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from netwright.client import Client
from netwright.processes import running_server

HERE = Path(__file__).parent
WIDTHS = {400: 850, 1280: 900, 2560: 1400}
THEMES = ("light", "dark")
# What the docs show, and how many pixels from the top.
SHOWN = {
    "page-search-1280-light.png": 1000,
    "page-new-1280-light.png": 1000,
    "page-subnet-1280-light.png": 1450,
    "page-compare-1280-dark.png": 1000,
    "page-start-400-dark.png": 1100,
}
EVALUATED, MEASURED, BUDGET, STEPS = 100, 30, 40, 400
FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def stock(client: Client) -> None:
    """Two targets, predictors, two searches, a short training and two exports."""
    supernet = client.supernets.add("digits")
    targets = [
        client.targets.add("cpu", name="one-thread"),
        client.targets.add("cpu", name="two-threads", settings={"threads": 2}),
    ]
    jobs = [
        supernet.evaluate(count=EVALUATED),
        *(target.measure(supernet.id, count=MEASURED) for target in targets),
    ]
    for job in jobs:
        job.wait()
    fit_all(client, supernet.id, [target.id for target in targets])
    ranges = client.searches.profile(supernet.id, target="one-thread").metrics
    latency = next(row for row in ranges if row.metric == "latency_ms")
    limit = round(latency.best + 0.6 * (latency.worst - latency.best), 3)
    for target in targets:
        search = client.searches.create(
            supernet=supernet.id, target=target.id, constraints={"latency_ms": limit}, budget=BUDGET
        )
        search.wait()
        with tempfile.TemporaryDirectory() as folder:
            for precision in ("fp32", "int8"):
                search.front().pick().download_onnx(Path(folder) / "m.onnx", precision=precision)
    fit_all(client, supernet.id, [target.id for target in targets])
    training = client.trainings.create("mine", data="digits", family="digits", recipe="sandwich", steps=STEPS)
    training.wait()


def fit_all(client: Client, supernet: str, targets: list[str]) -> None:
    """A predictor of accuracy, and one of latency for each target."""
    for metric, target in (("accuracy", None), *(("latency_ms", each) for each in targets)):
        client.predictors.fit(supernet, metric=metric, target=target).job.wait()


def views(client: Client) -> dict[str, str]:
    """Name to address of what is shown."""
    search = next(each for each in client.searches.list() if each.points)
    predictors = list(client.predictors.list())
    latency = next(each for each in predictors if each.metric == "latency_ms" and each.version)
    pick, target, limit = search.front().pick(), search.targets[0], search.constraints[0].max
    return {
        "start": "/",
        "new": f"/searches/new?supernet={search.supernet}&targets={target}&max_latency_ms={limit}",
        "searches": "/searches",
        "search": f"/searches/{search.id}",
        "subnet": f"/subnets/{pick.id}?target={target}",
        "supernet": f"/supernets/{search.supernet}",
        "target": f"/targets/{target}",
        "predictor": f"/predictors/{latency.id}",
        "jobs": "/jobs",
        "job": f"/jobs/{next(each.id for each in client.jobs.list(kind='train'))}",
        "compare": f"/compare?supernet={search.supernet}&max_latency_ms={limit}",
        "training": "/trainings/new?name=mine-2&data=digits&family=digits&steps=2000",
    }


def shoot(url: str, shown: dict[str, str], folder: Path) -> None:
    """Every view at every width and theme, as ``page-<view>-<width>-<theme>.png`` in a folder."""
    from playwright.sync_api import sync_playwright

    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as engine:
        browser = engine.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
        )
        for width, height in WIDTHS.items():
            for theme in THEMES:
                context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
                page = context.new_page()
                for name, path in shown.items():
                    page.goto("about:blank")  # the next address is then loaded, not only drawn
                    page.goto(f"{url}/#{path}")
                    page.wait_for_selector("main:not([aria-busy]) h1")
                    _charts(page)
                    painted = page.evaluate(FIRST_PAINT)
                    sys.stdout.write(f"{name} {width} {theme}: first painted after {painted:.0f} ms\n")
                    page.screenshot(path=folder / f"page-{name}-{width}-{theme}.png", full_page=True)
                context.close()
        browser.close()


def _charts(page: Any) -> None:
    """Wait until every chart is drawn or shows that there is nothing to draw."""
    for _ in range(100):
        waiting = page.locator(".chart-wait", has_text="Loading").count()
        if waiting == 0:
            break
        page.wait_for_timeout(100)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(200)


def keep(folder: Path) -> None:
    """Put the few pictures that the docs show among them."""
    from PIL import Image

    for name, height in SHOWN.items():
        with Image.open(folder / name) as picture:
            shown = picture.crop((0, 0, picture.width, min(height, picture.height)))
            shown.convert("P", palette=Image.Palette.ADAPTIVE).save(HERE / "images" / name, optimize=True)


def main() -> None:
    """Take them all, and keep those that the docs show."""
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(tempfile.mkdtemp())
    if len(sys.argv) > 1:
        with Client(sys.argv[1]) as client:
            shoot(sys.argv[1], views(client), folder)
    else:
        with running_server(folder / "data", 0) as server, Client(server.url) as client:
            stock(client)
            shoot(server.url, views(client), folder)
    keep(folder)


if __name__ == "__main__":
    main()
