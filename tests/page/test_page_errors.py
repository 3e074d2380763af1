"""What goes wrong is said in the words of the API, and the page goes on when the cause is gone."""

import pytest

from tests.page.seeds import keyed_service
from tests.page.studio import open_view


def test_an_invalid_field_is_named(views, stocked, new_page):
    page = new_page()
    open_view(page, stocked.url, "/searches/new")
    page.get_by_label("Evaluations").fill("0")
    page.get_by_role("button", name="Start the search").click()
    note = page.locator('.problem[data-code="invalid_request"]')
    note.wait_for()
    assert "budget.evaluations" in note.inner_text()
    page.watch.forgive("422")


@pytest.mark.parametrize(
    ("folder", "noun"),
    [
        ("searches", "search"),
        ("subnets", "subnet"),
        ("supernets", "supernet"),
        ("targets", "target"),
        ("predictors", "predictor"),
        ("jobs", "job"),
    ],
)
def test_an_address_of_nothing_is_refused_by_the_api(stocked, new_page, folder, noun):
    page = new_page()
    open_view(page, stocked.url, f"/{folder}/none")
    assert f"there is no {noun} 'none'" in page.locator(".problem").inner_text()
    page.watch.forgive("404")


def test_limits_that_cannot_be_met_name_the_nearest_value(stocked, new_page):
    page = new_page()
    open_view(page, stocked.url, "/searches/new?max_macs=1")
    page.locator('[data-satisfiable="false"]').wait_for()
    assert "macs: the nearest subnet has" in page.locator(".verdict").inner_text()


def test_a_family_that_does_not_exist_is_refused_before_the_training_starts(stocked, new_page):
    page = new_page()
    open_view(page, stocked.url, "/trainings/new?name=mine&family=none")
    note = page.locator('.problem[data-code="invalid_request"]')
    note.wait_for()
    assert "family must be one of" in note.inner_text()
    page.get_by_label("Family").fill("digits")
    page.locator("#estimate").wait_for()
    page.watch.forgive("422")


def test_a_stopped_service_is_named_and_a_started_one_is_used_again(stocked, new_page):
    page = new_page()
    open_view(page, stocked.url, "/")
    stocked.stop()
    page.locator("#navigation").get_by_role("link", name="Compare").click()
    page.locator('.problem[data-code="unreachable"]').wait_for()
    assert f"{stocked.url} does not answer" in page.locator(".problem").inner_text()
    stocked.restart()
    page.get_by_role("button", name="Try again").click()
    page.get_by_role("heading", name="Compare devices").wait_for()
    page.watch.forgive("Failed to load resource")


def test_the_key_is_sent_in_a_header_and_kept_in_the_session(browser, tmp_path, new_page):
    with keyed_service(tmp_path) as (url, secret):
        page = new_page(url=url)
        addresses = []
        page.on(
            "request", lambda request: addresses.append((request.url, request.headers.get("authorization")))
        )
        open_view(page, url, "/")
        assert "must carry a key of this service" in page.locator(".problem").inner_text()
        sign_in = page.locator("main").get_by_role("button", name="Sign in")
        page.locator("main").get_by_label("API key").fill("nw_wrong")
        sign_in.click()
        page.locator(".problem").get_by_text("an unknown one").wait_for()  # not the first refusal
        page.locator("main").get_by_label("API key").fill(secret)
        sign_in.click()
        page.locator("#next-steps").wait_for()
        page.reload()
        page.locator("#next-steps").wait_for()
        asked = [header for address, header in addresses if "/v1/" in address]
        assert asked[0] is None
        assert asked[-1] == f"Bearer {secret}"
        assert not any(secret in address for address, _ in addresses)
        assert page.evaluate("Object.values({...localStorage}).join()").count(secret) == 0
        assert page.context.cookies() == []
        page.watch.forgive("401")


def test_a_key_that_may_only_read_sees_everything_and_starts_nothing(browser, tmp_path, new_page):
    with keyed_service(tmp_path, "read") as (url, secret):
        page = new_page(url=url)
        page.add_init_script(f"sessionStorage.setItem('netwright-key', '{secret}')")
        open_view(page, url, "/")
        page.locator("#next-steps").get_by_role("button", name="Do it now").click()
        note = page.locator("#next-steps .problem")
        note.wait_for()
        assert "write" in note.inner_text()
        assert note.get_attribute("data-code") == "key_scope"
        page.watch.forgive("403")
