"""The page against the real service: every number it shows is the API's, every way a user goes leads there."""

import hashlib
import re
import shlex

import numpy as np
import pytest
from typer.main import get_command

from netwright.cli import app
from tests.page.seeds import LOSSES, QUALITIES, converted, seed_front, seed_training
from tests.page.studio import EVALUATIONS, open_view, traces, until, wait_for_charts


def test_a_new_service_says_what_to_do_first(studio, new_page):
    page = new_page()
    open_view(page, studio.url, "/")
    steps = page.locator("#next-steps")
    assert "Register a supernet" in steps.inner_text()
    assert f"curl -X POST '{studio.url}/v1/supernets'" in steps.locator("pre").inner_text()
    steps.get_by_role("button", name="Do it now").click()
    page.locator("article[data-supernet]").wait_for()
    steps.locator(".next").get_by_text("Register a target").wait_for()
    steps.get_by_role("button", name="Do it now").click()
    page.locator("article[data-target]").wait_for()
    assert [row.name for row in studio.client.supernets.list()] == ["digits"]
    assert [row.name for row in studio.client.targets.list()] == ["cpu"]


@pytest.mark.timeout(900)
def test_from_a_profile_to_a_file_that_runs(stocked, journey, new_page, tmp_path):
    page = new_page()
    open_view(page, stocked.url, "/searches/new")
    page.locator("[data-satisfiable]").wait_for()
    body = {"supernet": stocked.supernet.id, "targets": [stocked.target.id]}
    profile = stocked.client.connection.post("/v1/searches:profile", body)
    ranges = {row["metric"]: row for row in profile["metrics"]}
    latency = page.locator('.limit[data-metric="latency_ms"] .limit-ends span')
    assert float(latency.nth(0).inner_text().split()[0]) == pytest.approx(
        ranges["latency_ms"]["best"], rel=1e-3
    )
    assert float(latency.nth(1).inner_text().split()[0]) == pytest.approx(
        ranges["latency_ms"]["worst"], rel=1e-3
    )

    # A limit on MACs: unlike the latency on a busy machine, they are what was predicted.
    typed = page.locator('.limit[data-metric="macs"] input[type="number"]')
    typed.fill(str(int(ranges["macs"]["best"] / 2)))
    page.locator('[data-satisfiable="false"]').wait_for()
    limit = int(ranges["macs"]["worst"] * 0.9)
    typed.fill(str(limit))
    page.locator('[data-satisfiable="true"]').wait_for()
    page.get_by_label("Evaluations").fill(str(EVALUATIONS))
    assert f'"max": {rounded(limit)}' in page.locator(".commands pre").inner_text()
    page.get_by_role("button", name="Start the search").click()

    page.locator('[data-state="queued"], [data-state="running"], .problem').first.wait_for()
    search = re.search(r"#/searches/(sea_\w+)", page.url).group(1)
    stocked.restart()  # the page follows the same job on the new process
    page.locator('h1 ~ [data-state="succeeded"]').wait_for(timeout=240_000)
    page.watch.forgive("Failed to load resource")
    wait_for_charts(page)
    journey["search"] = search

    front = stocked.client.connection.get(f"/v1/searches/{search}/front")
    assert front["points"]
    _check_drawn(page, front)

    row = page.locator("table tbody tr[data-id]").last
    chosen = row.get_attribute("data-id")
    row.locator("td").nth(2).click()
    page.locator(f'#selected [data-subnet="{chosen}"]').wait_for()
    assert f"select={chosen}" in page.url
    page.reload()
    page.locator(f'#selected [data-subnet="{chosen}"]').wait_for()

    page.get_by_role("link", name="Open and export").click()
    page.locator("#export").get_by_role("button", name="Export", exact=True).click()
    ready = page.locator("[data-download]")
    ready.wait_for(timeout=240_000)
    with page.expect_download() as waiting:
        ready.click()
    file = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(file)
    assert file.suffix == ".onnx"
    assert hashlib.sha256(file.read_bytes()).hexdigest() == ready.get_attribute("data-download")
    _check_runs(file)
    journey["subnet"] = chosen


def rounded(value):
    """As the slider rounds it."""
    return int(float(f"{value:.4g}"))


def _check_drawn(page, front):
    """What is drawn is what the API says, point for point, as accuracy in percent over latency in ms."""
    chart = page.locator(".chart.tall")
    drawn = traces(page, chart)
    truth = {
        point["subnet"]: (point["measured"][0]["value"], 100 * point["validation"]["value"])
        for point in front["points"]
    }
    x, y, ids = drawn["measured"]
    assert set(ids) == set(truth)
    for left, right, subnet in zip(x, y, ids, strict=True):
        assert (left, right) == pytest.approx(truth[subnet])
    expected = {
        point["subnet"]: tuple(
            next(row["mean"] * factor for row in point["predicted"] if row["metric"] == metric)
            for metric, factor in (("latency_ms", 1), ("accuracy", 100))
        )
        for point in front["points"]
        if point["predicted"]
    }
    x, y, ids = drawn.get("predicted", ([], [], []))
    assert {
        subnet: pytest.approx((left, right)) for left, right, subnet in zip(x, y, ids, strict=True)
    } == expected
    marks = chart.locator(".points path").count()
    assert marks == sum(len(ids) for ids, _, _ in drawn.values())


def _check_runs(file):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    shape = [size if isinstance(size, int) else 3 for size in given.shape]
    (scores,) = session.run(None, {given.name: np.random.default_rng(0).random(shape, dtype=np.float32)})
    assert scores.shape == (shape[0], 10)
    assert np.isfinite(scores).all()


def test_the_commands_are_what_command_line_and_python_take(views, stocked, new_page):
    page = new_page()
    lines, scripts = set(), set()
    for path in views.values():
        open_view(page, stocked.url, path)
        for index in range(page.locator(".commands").count()):
            panel = page.locator(".commands").nth(index)
            panel.evaluate("node => { node.open = true; }")
            panel.get_by_role("tab", name="Python").click()
            scripts.add(panel.locator("pre").inner_text())
            panel.get_by_role("tab", name="Command line").click()
            lines.add(panel.locator("pre").inner_text().replace("\\\n", " "))
    for script in scripts:
        compile(script, "page", "exec")
    commands = [line for text in lines for line in text.splitlines() if line.startswith("netwright ")]
    assert len(commands) >= 8
    for line in commands:
        _check_command(shlex.split(line)[1:])


def _check_command(words):
    command = get_command(app)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    command.make_context(command.name, list(words), resilient_parsing=False)


def test_a_front_in_csv_is_the_apis(views, journey, stocked, new_page, tmp_path):
    page = new_page()
    open_view(page, stocked.url, views["search"])
    wait_for_charts(page)
    for name, check in (
        ("CSV", b"subnet,search"),
        ("JSON", b'"objectives"'),
        ("SVG", b"<svg"),
        ("PNG", b"\x89PNG"),
    ):
        with page.expect_download() as waiting:
            page.get_by_role("button", name=name, exact=True).click()
        waiting.value.save_as(tmp_path / name)
        assert check in (tmp_path / name).read_bytes()[:4000]


def test_a_front_of_ten_thousand_points_has_two_thousand_marks(stocked, new_page):
    search = seed_front(stocked.settings, stocked.supernet.id, stocked.target.id, 10_000)
    page = new_page()
    open_view(page, stocked.url, f"/searches/{search}")
    wait_for_charts(page)
    marks = page.locator(".chart.tall .points path").count()
    assert 300 < marks <= 2000
    assert "of 10,000 points are drawn" in page.locator("[aria-label=Front]").inner_text()


def test_a_training_shows_losses_by_role_and_quality(stocked, new_page):
    job = seed_training(stocked.settings)
    page = new_page()
    open_view(page, stocked.url, f"/jobs/{job}")
    for index, rows, factor in ((0, LOSSES, 1), (1, QUALITIES, 100)):
        chart = page.locator(".chart").nth(index)
        chart.locator(".main-svg").first.wait_for()
        until(page, lambda chart=chart: len(traces(page, chart)) == 2)
        for role, (x, y, _) in traces(page, chart).items():
            assert x == list(rows)
            assert y == pytest.approx([factor * values[role] for values in rows.values()])


def test_the_original_of_a_converted_network_is_beside_its_front(stocked, new_page):
    search = seed_front(stocked.settings, stocked.supernet.id, stocked.target.id, 20)
    page = new_page()
    open_view(page, stocked.url, f"/searches/{search}")
    wait_for_charts(page)
    assert page.locator("#original").count() == 0
    assert "original" not in traces(page, page.locator(".chart.tall"))
    with converted(stocked.settings, stocked.supernet.id) as qualities:
        original = stocked.client.searches.get(search).front().original
        assert original is not None
        (latency,) = [row for row in original.measured if row.metric == "latency_ms"]
        page = new_page()
        open_view(page, stocked.url, f"/searches/{search}")
        wait_for_charts(page)
        chart = page.locator(".chart.tall")
        until(page, lambda: "original" in traces(page, chart))
        x, y, _ = traces(page, chart)["original"]
        assert x == pytest.approx([latency.value])
        assert y == pytest.approx([100 * qualities["validation"][0]])
        words = page.locator("#original").inner_text()
        assert "97\u202f% ± 1.1 on validation" in words and "96\u202f% ± 1.2 on test" in words
        assert "on cpu" in words and "not measured" not in words
        assert "the original" in page.locator(".legend").first.inner_text()
        page.locator("#original a").click()
        page.wait_for_selector(f"main:not([aria-busy]) h1:has-text('{original.subnet}')")
