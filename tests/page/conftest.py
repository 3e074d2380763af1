"""One service, one worker and one browser for all tests of the page."""

import contextlib
import os

import pytest

from service.db.session import Database
from service.run import migrate
from service.settings import Settings
from tests.page.studio import CHROMIUM, QUIET, Studio, Watch
from tests.service.rows import insert_measured


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    (folder / "home").mkdir()
    settings = Settings(home=folder / "home")
    migrate(settings)
    studio = Studio(settings, folder)
    yield studio
    studio.close()


@pytest.fixture(scope="module")
def stocked(studio):
    """Supernet and target with rows made from the closed forms, and a predictor of quality and one of latency."""
    supernet = studio.client.supernets.add("digits")
    target = studio.client.targets.add("cpu", name="cpu")
    database = Database(studio.settings.database)
    insert_measured(database, supernet.id, target.id)
    database.dispose()
    fits = [
        studio.client.predictors.fit(supernet.id, metric="accuracy", kind="gaussian_process"),
        studio.client.predictors.fit(
            supernet.id, metric="latency_ms", target=target.id, kind="bayesian_linear"
        ),
    ]
    for predictor in fits:
        predictor.wait(240)
    studio.supernet, studio.target = supernet, target
    return studio


@pytest.fixture(scope="module")
def journey(stocked):
    """What the first half of the journey leaves behind for the other tests."""
    return {}


@pytest.fixture(scope="module")
def views(stocked, journey):
    """Every view, once there is something to see in it."""
    if "subnet" not in journey:
        search = stocked.client.searches.create("digits", target="cpu", budget=20).wait()
        journey |= {"search": search.id, "subnet": search.front().points[0].id}
    predictor = next(iter(stocked.client.predictors.list()))
    job = next(iter(stocked.client.jobs.list()))
    return {
        "start": "/",
        "new": "/searches/new",
        "searches": "/searches",
        "search": f"/searches/{journey['search']}",
        "subnet": f"/subnets/{journey['subnet']}",
        "supernet": f"/supernets/{stocked.supernet.id}",
        "target": f"/targets/{stocked.target.id}",
        "predictor": f"/predictors/{predictor.id}",
        "jobs": "/jobs",
        "job": f"/jobs/{job.id}",
        "compare": "/compare",
        "training": "/trainings/new?name=mine&steps=100",
    }


@pytest.fixture(scope="module")
def browser():
    # Playwright runs an event loop in this thread until it is stopped: other files of tests need one of their own.
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine; on Debian: apt-get install chromium")
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def new_page(browser, studio):
    """Makes pages of their own session, and holds each against what a page must not do."""
    with contextlib.ExitStack() as stack:
        watches = []

        def make(width=1280, height=900, url=studio.url, **options):
            context = browser.new_context(
                viewport={"width": width, "height": height}, accept_downloads=True, **options
            )
            stack.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(120_000)
            page.watch = Watch(page, url)
            watches.append(page.watch)
            return page

        yield make
        assert [text for watch in watches for text in watch.errors] == []
        assert [address for watch in watches for address in watch.strangers] == []


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setitem(os.environ, "NO_PROXY", "127.0.0.1")
