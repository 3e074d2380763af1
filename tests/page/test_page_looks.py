"""Every view on every screen: nothing jumps, nothing is cut off, everything can be read and reached by keyboard."""

import httpx
import pytest

from tests.page.studio import axe_source, open_view, until, wait_until_drawn

WIDTHS = (400, 1280, 2560)
LARGEST_SHIFT = 0.02  # of a layout; up to 0.1 is called good (web.dev/articles/cls)
WATCH_SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    if (!entry.hadRecentInput) {
      const moved = entry.sources.map((source) => source.node?.outerHTML?.slice(0, 120));
      window.shifts.push([entry.value, moved]);
    }
  }
}).observe({type: "layout-shift", buffered: true});
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_any_view(views, stocked, new_page, scheme):
    page = new_page(color_scheme=scheme)
    source, found = axe_source(), []
    for name, path in views.items():
        open_view(page, stocked.url, path)
        wait_until_drawn(page)
        page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
        page.evaluate(f"() => {{ {source} }}")
        result = page.evaluate("async () => (await axe.run(document)).violations")
        found += [
            (name, each["id"], each["nodes"][0]["html"][:150], each["nodes"][0]["failureSummary"][:300])
            for each in result
            if each["impact"] in ("serious", "critical")
        ]
    assert found == []


@pytest.mark.parametrize("width", WIDTHS)
def test_no_view_is_wider_than_the_screen_and_nothing_jumps(views, stocked, new_page, width):
    page = new_page(width)
    page.add_init_script(WATCH_SHIFTS)
    shifted = {}
    for name, path in views.items():
        page.goto("about:blank")  # so that the view is loaded, not only drawn
        open_view(page, stocked.url, path)
        wait_until_drawn(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        shifts = page.evaluate("window.shifts")
        total = sum(value for value, _ in shifts)
        if total > LARGEST_SHIFT:
            shifted[name] = (round(total, 3), shifts)
    assert shifted == {}


def test_the_first_paint_comes_before_any_answer_of_the_api(stocked, new_page):
    """The frame needs no request to the API, so its first paint does not wait for the database."""
    page = new_page()
    page.route("**/v1/**", lambda route: None)
    page.goto(stocked.url)
    until(page, lambda: page.evaluate("performance.getEntriesByName('first-contentful-paint').length") == 1)
    assert "New search" in page.locator("#navigation").inner_text()


def test_the_documentation_of_the_api_asks_no_other_host(stocked, new_page):
    page = new_page()
    page.goto(f"{stocked.url}/docs")
    tag = page.locator(".opblock-tag").first
    tag.click()
    page.locator(".opblock").first.wait_for()


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_no_policy_allows_text_as_code(stocked, path):
    policy = httpx.get(f"{stocked.url}{path}").headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "style-src 'self' 'unsafe-inline';" in policy
    assert "unsafe-eval" not in policy


@pytest.mark.timeout(900)
def test_the_whole_way_by_keyboard(views, stocked, new_page, tmp_path):
    page = new_page()
    open_view(page, stocked.url, "/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "skip"
    tab_to(page, 'a[href="#/searches/new"]')
    page.keyboard.press("Enter")
    page.locator("[data-satisfiable]").wait_for()
    tab_to(page, '.limit[data-metric="macs"] input[type="checkbox"]')
    page.keyboard.press("Space")
    tab_to(page, '.limit[data-metric="macs"] input[type="range"]')
    page.keyboard.press("End")
    tab_to(page, 'input[max="10000"]')
    page.keyboard.type("1")
    tab_to(page, 'button.main[type="submit"]')
    page.keyboard.press("Enter")
    page.locator('h1 ~ [data-state="succeeded"]').wait_for(timeout=240_000)
    wait_until_drawn(page)
    tab_to(page, "tr.clickable")
    page.keyboard.press("Enter")
    page.locator("#selected [data-subnet]").wait_for()
    tab_to(page, "#selected a.button.main")
    page.keyboard.press("Enter")
    page.locator("#export select option").first.wait_for(state="attached")
    tab_to(page, '#export button[type="submit"]')
    page.keyboard.press("Enter")
    page.locator("[data-download]").first.wait_for(timeout=240_000)
    tab_to(page, "[data-download]")
    with page.expect_download() as waiting:
        page.keyboard.press("Enter")
    assert waiting.value.suggested_filename.endswith(".onnx")


def tab_to(page, selector, most=250):
    """Press Tab until an element that the selector matches has the focus, and shows it."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", f"{selector}: the focus cannot be seen"
            return
    raise AssertionError(f"{most} times Tab do not reach {selector}")
