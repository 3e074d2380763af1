"""``netwright demo``: the whole path on this machine, through the public API, from nothing to a verified file."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console

from netwright.client import Client
from netwright.client.fronts import Point
from netwright.client.jobs import Job
from netwright.client.predictors import Predictor
from netwright.client.resource import counted
from netwright.client.subnets import Export
from netwright.client.supernets import Supernet
from netwright.client.targets import Measurement, Target
from netwright.errors import ConflictError, NetwrightError
from netwright.metric_names import LATENCY
from netwright.output.front_cards import front_card
from netwright.output.printing import number, show, stdout
from netwright.plot import plot_front
from netwright.processes import running_server
from netwright.progress import bar
from netwright.verdict import Checked, check_file, final_line

MEASURED, EVALUATED, EVALUATIONS = 30, 100, 24
SHARE_OF_RANGE = 0.42  # where the limit lies between the smallest and the largest measured latency
JOB_TIMEOUT_S = 4 * 3600.0
NAMES = 50
FIGURES = (
    ("spearman", "Spearman", "{:.3f}"),
    ("noise_ceiling", "split-half correlation", "{:.3f}"),
    ("median_ape", "median error", "{:.1%}"),
    ("coverage90", "90 % interval covers", "{:.0%}"),
)
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Answer:
    """The point of a front that was picked under ``limit_ms``, and its file."""

    supernet: Supernet
    target: Target
    limit_ms: float
    pick: Point
    export: Export
    file: Path


def run_demo(supernet: str, out: Path, port: int, console: Console | None = None) -> int:
    """Run the demo, write its results into ``out``, and return the exit status."""
    console = console or stdout(record=True)
    out.mkdir(parents=True, exist_ok=True)
    say = _steps(console, 7)
    say("start a service and a worker on this machine")
    with running_server(out / "data", port) as server, Client(server.url) as client:
        console.print(f"    {server.url}, database and logs in {server.home}", highlight=False)
        answer = ask(client, supernet, out, say, console)
    say("check the file that came back: ONNX Runtime, real test images, a fresh measurement")
    checked = check_file(answer.file, answer.supernet, answer.target)
    line, status = final_line(answer.limit_ms, answer.pick, answer.export, checked)
    _write_report(out, answer, checked, line, status)
    console.print(line, highlight=False, soft_wrap=True, markup=False)
    if console.record:
        (out / "demo.txt").write_text(console.export_text())
    return status


def _steps(console: Console, total: int) -> Say:
    done = iter(range(1, total + 1))
    return lambda words: console.print(f"[bold]{next(done)}/{total}[/bold] {words}", highlight=False)


def ask(client: Client, name: str, out: Path, say: Say, console: Console) -> Answer:
    """All that is done through the API."""
    _cancel_leftovers(client)
    supernet, target = _supernet(client, name), _target(client)
    say(f"measure {MEASURED} of the {supernet.space_size:.3g} subnets of {name!r} on this CPU")
    measured = _measure(client, target, supernet)
    low, high = min(row.value for row in measured), max(row.value for row in measured)
    limit = round_to(low + SHARE_OF_RANGE * (high - low), 3)
    console.print(
        f"    latency {number(low)} to {number(high)} ms; the limit will be {number(limit)} ms",
        highlight=False,
    )
    images = supernet.first_images
    say(f"evaluate {EVALUATED} subnets on {images or 'all'} validation images")
    _wait(supernet.evaluate(count=EVALUATED, images=images), "evaluating")
    say("fit a latency and an accuracy predictor")
    for metric, of in ((LATENCY, target.id), (supernet.quality, None)):
        predictor = client.predictors.fit(supernet.id, metric=metric, target=of)
        _wait(predictor.job, f"fitting {metric}")
        predictor.refresh()
        console.print(f"    {report_card(predictor)}", highlight=False)
    say(f"search: the most accurate subnets with latency_ms <= {number(limit)}")
    search = client.searches.create(
        supernet.id,
        target=target.id,
        constraints={LATENCY: limit},
        objectives=[supernet.quality, LATENCY],
        budget=EVALUATIONS,
        labels={"made-by": "demo"},
    )
    _wait(search.job, "searching")
    search.refresh()
    front = search.front()
    show(None, front_card(front, {target.id: target.name}), False, console)
    for warning in search.warnings:
        if warning != front.noise:  # the card of the front has said it
            console.print(f"    warning: {warning}", highlight=False, markup=False, soft_wrap=True)
    pick = front.pick(max_latency_ms=limit)
    picture = plot_front(front, out / "front.png", limit_ms=limit, pick=pick, quality=supernet.quality)
    say(f"download the most accurate one as ONNX; a picture of the front is in {picture}")
    export = client.exports.create(pick.id)
    if not export.sha256:
        _wait(export.job, "exporting")
        export.refresh()
    file = export.download(out / "subnet.onnx")
    console.print(f"    {file}, {export.bytes or 0:,} bytes, SHA-256 verified", highlight=False)
    return Answer(supernet, client.targets.get(target.id), limit, pick, export, file)


def _cancel_leftovers(client: Client) -> None:
    """The jobs of a demo that was killed would take time from this one."""
    for state in ("queued", "running"):
        for job in list(client.jobs.list(state=state)):
            with contextlib.suppress(ConflictError):  # it ended meanwhile
                job.cancel()


def _supernet(client: Client, zoo: str) -> Supernet:
    """The supernet of the zoo; under a further name where an older version of it has the first."""
    for name in _names(zoo):
        with contextlib.suppress(ConflictError):
            return client.supernets.add(zoo, name=name)
    raise NetwrightError(f"the database holds {NAMES} versions of {zoo!r}; give a fresh folder by --out")


def _target(client: Client) -> Target:
    """This machine's CPU; under a further name where the first names another CPU or runtime."""
    for name in _names("cpu"):
        with contextlib.suppress(ConflictError):
            return client.targets.add("cpu", name=name)
    raise NetwrightError(f"the database holds {NAMES} versions of this CPU; give a fresh folder by --out")


def _names(first: str) -> list[str]:
    return [first, *(f"{first}-{k}" for k in range(2, NAMES + 1))]


def _measure(client: Client, target: Target, supernet: Supernet) -> Sequence[Measurement]:
    job = _wait(target.measure(supernet.id, count=MEASURED), "measuring")
    return client.measurements.list(supernet=supernet.id, target=target.id, metric=LATENCY, job=job.id)


def _wait(job: Job, title: str) -> Job:
    with bar(title) as draw:
        return job.wait(JOB_TIMEOUT_S, lambda now: draw(now.progress_shown()))


def report_card(predictor: Predictor) -> str:
    """A predictor's report card in one line."""
    card = predictor.report or {}
    parts = [f"{predictor.metric} ({predictor.kind}, {counted(predictor.rows, 'row')})"]
    for figure, label, form in FIGURES:
        if isinstance(card.get(figure), int | float):
            parts.append(f"{label} {form.format(card[figure])}")
    return ", ".join(parts)


def round_to(value: float, digits: int) -> float:
    """``value`` with this many significant digits."""
    return float(f"{value:.{digits}g}")


def _write_report(out: Path, answer: Answer, checked: Checked, line: str, status: int) -> None:
    record = {
        "line": line,
        "status": status,
        "limit_ms": answer.limit_ms,
        "checked": asdict(checked),
        "pick": answer.pick.to_dict(),
        "export": answer.export.to_dict(),
        "supernet": answer.supernet.id,
        "target": answer.target.to_dict(),
    }
    (out / "result.json").write_text(json.dumps(record, indent=1) + "\n")
