"""What is shown of supernets, targets, predictors and jobs: a card is a list of sections, printed by one function."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict

from netwright.client.http.models import AgentView, EstimateView, Object
from netwright.client.jobs import Job
from netwright.client.predictors import Predictor
from netwright.client.resource import Removed, counted
from netwright.client.supernets import Supernet
from netwright.client.targets import Measurement, Target
from netwright.metric_names import LATENCY, MACS, PARAMS
from netwright.output.data_report import report_sections
from netwright.output.hints import in_commands
from netwright.output.printing import (
    Columns,
    Fields,
    Line,
    Section,
    Table,
    cell,
    moment,
    number,
    percent,
    stdout,
    table_of,
    with_error,
    words,
)
from netwright.progress import duration

Names = Mapping[str, str]
"""Names of targets by id."""


# --- supernets -------------------------------------------------------------------------------------


def supernet_card(supernet: Supernet) -> Iterator[Section]:
    """What it is, its data and training, and how good its subnets are."""
    report, training = supernet.report, supernet.training
    splits: Object = supernet.data.get("splits") or {}
    passes, seconds = training.get("passes"), training.get("seconds")
    taken = [
        f"{number(float(training['steps']))} steps" if training.get("steps") else None,
        f"{number(float(passes))} subnet passes" if passes else None,
        duration(seconds) if seconds else None,
    ]
    yield Fields(
        {
            "id": supernet.id,
            "name": supernet.name,
            "family": supernet.family,
            "source": supernet.source,
            "created": supernet.created_at,
            "quality": supernet.quality,
            "subnets": supernet.space_size,
            "data": supernet.data.get("name"),
            "examples": ", ".join(f"{number(float(s['n']))} {name}" for name, s in splits.items()) or None,
            "classes": len(supernet.classes) or None,
            "recipe": supernet.recipe.get("name"),
            "training": ", ".join(filter(None, taken)) or None,
            "weights": supernet.weights_sha256,
            "licence": supernet.licence or None,
        }
    )
    quality = supernet.quality
    if report.get("summary"):
        rows = [
            (split, _quality(found.get("smallest")), _quality(found.get("largest")))
            for split, found in report["summary"].items()
        ]
        yield Table((f"{quality} on", "smallest", "largest"), rows)
    if report.get("panel"):
        columns: Columns = {
            MACS: ("MACs", _count),
            PARAMS: (PARAMS, _count),
            "validation": ("on validation", _quality),
            "test": ("on test", _quality),
        }
        yield table_of(sorted(report["panel"], key=lambda row: float(row.get(MACS, 0))), columns)
    random: Object = report.get("random") or {}
    if random:
        yield Fields(
            {
                f"Spearman of MACs and {quality}": random.get("spearman_macs_quality"),
                "over random subnets": random.get("n"),
                "split-half correlation": random.get("noise_ceiling"),
            }
        )


def supernets_table(supernets: Sequence[Supernet]) -> Table:
    """A line a supernet."""
    columns = ("id", "name", "family", "quality", "subnets", "data", "source")
    return Table(
        columns,
        [(s.id, s.name, s.family, s.quality, s.space_size, s.data.get("name"), s.source) for s in supernets],
    )


def _count(value: float | None) -> str | None:
    return None if value is None else number(float(value))


def _quality(found: Object | None) -> str | None:
    return with_error(found["value"], found.get("standard_error")) if found else None


def estimate_card(estimate: EstimateView) -> Iterator[Section]:
    """The cost of a training before its first step, and the report on a user's own images."""
    if estimate.data_report is not None:
        yield from report_sections(asdict(estimate.data_report))
    known = (
        f"{number(estimate.train_images)} training images" if estimate.train_images else "known once loaded"
    )
    classes = f", {counted(estimate.classes, 'class')}" if estimate.classes else ""
    networks = f", in the end {estimate.networks} networks" if estimate.networks > 1 else ""
    params, macs = estimate.params, estimate.macs
    yield Fields(
        {
            "data": f"{estimate.data}: {known}{classes}",
            "space": f"{estimate.subnets:.3g} subnets, {params[0]:,.0f} to {params[1]:,.0f} parameters, "
            f"{macs[0] / 1e6:.3g} to {macs[1] / 1e6:.3g} million MACs",
            "recipe": f"{estimate.recipe}: {counted(estimate.steps, 'step')} of {estimate.batch_size} images, "
            f"seed {estimate.seed}",
            "cost": f"{estimate.billed:,.0f} subnet passes, {estimate.macs_per_step / 1e9:.3g} billion MACs a step "
            f"on average{networks}",
            "memory": f"about {estimate.memory_mb:,.0f} MB for weights, gradients, activations and images"
            if estimate.memory_mb is not None
            else "not known before the data are loaded",
        }
    )


# --- targets ---------------------------------------------------------------------------------------


def target_card(target: Target) -> Iterator[Section]:
    """Device, runtime and settings, which agents measure, and whether the measurements are current."""
    agent = target.measured_by == "agent"
    calibrated = [
        f"{name} {number(float(row[LATENCY]))} ms" for name, row in (target.calibrations or {}).items()
    ]
    yield Fields(
        {
            "id": target.id,
            "name": target.name,
            "kind": target.kind,
            "created": target.created_at,
            "device": _device(target.description.get("device")) or ("not seen yet" if agent else None),
            "runtime": _runtime(target.description.get("runtime")),
            "settings": settings_of(target),
            "metrics": " ".join(target.metrics),
            "reference networks": ", ".join(calibrated) or None,
            "agents": _agents(target.agents) if agent else None,
            "cannot run": counted(target.unsupported, "subnet") if target.unsupported else None,
            "stale": target.stale,
            "valid from": target.valid_from,
        }
    )


def targets_table(targets: Sequence[Target]) -> Table:
    """A line a target."""
    columns = ("id", "name", "kind", "settings", "metrics", "agents", "stale")
    rows = [
        (
            *(t.id, t.name, t.kind, settings_of(t), " ".join(t.metrics)),
            f"{sum(agent.connected for agent in t.agents)} connected" if t.measured_by == "agent" else None,
            "yes" if t.stale else None,
        )
        for t in targets
    ]
    return Table(columns, rows)


def settings_of(target: Target) -> str:
    """``threads 1, precision fp32, batch 1``."""
    return ", ".join(f"{name} {value}" for name, value in target.settings.items())


def _device(device: Object | str | None) -> str | None:
    if not isinstance(device, Mapping):
        return device
    forms = {
        "cpu": "{}",
        "cores": "{} cores",
        "max_mhz": "at most {} MHz",
        "memory_gb": "{} GB",
        "architecture": "{}",
        "system": "{}",
    }
    return ", ".join(form.format(device[name]) for name, form in forms.items() if device.get(name))


def _runtime(runtime: Object | str | None) -> str | None:
    if not isinstance(runtime, Mapping):
        return runtime
    providers = ", ".join(runtime.get("providers") or [])
    return f"{runtime.get('name')} {runtime.get('version')}{f' ({providers})' if providers else ''}"


def _agents(agents: Sequence[AgentView]) -> str:
    found = [
        f"{agent.name} {'connected' if agent.connected else f'last seen {moment(agent.seen_at)}'}"
        for agent in agents
    ]
    return ", ".join(found) or "none yet: `netwright agent --target …` on the device"


def measurements_table(rows: Sequence[Measurement]) -> Table:
    """Value and spread first, then the raw p50 and p90."""
    columns = ("subnet", "metric", "value", "±", "raw p50", "raw p90", "n", "verdict", "arch")
    cells = []
    for row in rows:
        raw: Object = row.details.get("raw") or {}
        name = f"{row.metric} [{row.unit}]"
        cells.append(
            (
                *(row.subnet, name, row.value, row.spread, raw.get("p50"), raw.get("p90")),
                *(row.n, row.verdict, words(row.arch)),
            )
        )
    return Table(columns, cells)


IMPORTED = ("rows", "accepted", "archs", "known", "refused_count")
REFUSED: Columns = {"row": "row", "rule": "rule", "got": "got", "reason": "why"}
REFUSED_SHOWN = 20


def import_card(result: Object) -> Iterator[Section]:
    """How many rows were accepted, and which were refused and why."""
    yield Fields({name: result.get(name) for name in IMPORTED})
    refused = result.get("refused") or []
    if refused:
        count = result.get("refused_count", len(refused))
        shown = f"the first {REFUSED_SHOWN} of {count}" if count > REFUSED_SHOWN else f"all {count}"
        yield table_of(refused[:REFUSED_SHOWN], REFUSED, f"refused rows, {shown}")
    for warning in result.get("warnings") or []:
        yield Line(warning, warning=True)


# --- predictors ------------------------------------------------------------------------------------

FIGURES = {
    "n": ("held-out rows", cell),
    "spearman": ("Spearman", cell),
    "kendall": ("Kendall", cell),
    "noise_ceiling": ("split-half correlation", cell),
    "mape": ("mean error", percent),
    "median_ape": ("median error", percent),
    "bias": ("bias", percent),
    "coverage90": ("90 % interval covers", percent),
    "width90": ("width of the 90 % interval", percent),
    "interval_score": ("interval score", cell),
    "note": ("note", cell),
}
SIDE_BY_SIDE = {
    "spearman": ("Spearman", cell),
    "mape": ("mean error", percent),
    "median_ape": ("median", percent),
    "bias": ("bias", percent),
    "coverage90": ("covers", percent),
    "width90": ("width", percent),
}
SIDE_BY_SIDE_WIDTH = 130  # columns that a table of all figures needs
CANDIDATE: Columns = {
    "kind": "kind",
    "interval_score": "interval score",
    "standard_error": "±",
    "spearman": "Spearman",
    "mape": ("mean error", percent),
    "coverage90": ("covers", percent),
    "note": "note",
}
WORST: Columns = {
    "error": ("error", percent),
    "predicted": "predicted",
    "measured": "measured",
    "arch": ("arch", words),
}
CURVE: Columns = {
    "rows": "rows",
    "mape": ("mean error", percent),
    "mape_error": ("±", percent),
    "spearman": "Spearman",
}


def predictor_card(predictor: Predictor, names: Names) -> Iterator[Section]:
    """Its errors on held-out rows, why this kind, where it errs most, how many rows are enough."""
    card: Object = predictor.report or {}
    yield Fields(
        {
            "id": predictor.id,
            "metric": f"{predictor.metric} [{predictor.unit}]",
            "kind": predictor.kind,
            "supernet": predictor.supernet,
            "target": _on(predictor, names) or None,
            "state": predictor.state,
            "rows": predictor.rows,
            "stale": predictor.stale,
            "version": predictor.version,
        }
    )
    yield Fields(_figures(card, FIGURES))
    choice: Object = card.get("choice") or {}
    if choice:
        yield Line(choice.get("reason") or "")
        yield table_of(choice.get("candidates") or [], CANDIDATE)
    if card.get("worst"):
        yield table_of(card["worst"], WORST, "largest errors")
    curve = card.get("learning_curve") or []
    if curve:
        enough = card.get("enough_rows")
        if enough is not None:
            yield Line(f"{enough} rows are enough: more rows reduced the errors by less than a tenth")
        elif len(curve) > 1:
            yield Line("the error still falls: more rows would help")
        else:
            yield Line("too few rows to estimate whether more would help")
        yield table_of(curve, CURVE)


def _figures(card: Object, figures: Mapping[str, tuple[str, object]]) -> dict[str, object]:
    return {
        label: form(card[name]) if callable(form) else card[name]
        for name, (label, form) in figures.items()
        if card.get(name) is not None
    }


def predictors_table(predictors: Iterable[Predictor], names: Names) -> Iterator[Section]:
    """Report cards side by side, or in lines on a narrow terminal."""
    predictors = list(predictors)
    if predictors and stdout().width < SIDE_BY_SIDE_WIDTH:
        for each in predictors:
            target = _on(each, names)
            on = f" on {target}" if target else ""
            state = "" if each.state == "succeeded" else f", {each.state}"
            stale = ", stale" if each.stale else ""
            yield Line(
                f"{each.id}  {each.metric}{on}: {each.kind}, {counted(each.rows, 'row')}{state}{stale}"
            )
            figures = _figures(each.report or {}, SIDE_BY_SIDE)
            if figures:
                yield Line("  " + ", ".join(f"{label} {cell(value)}" for label, value in figures.items()))
        return
    heads = [label for label, _ in SIDE_BY_SIDE.values()]
    rows = []
    for each in predictors:
        figures = _figures(each.report or {}, SIDE_BY_SIDE)
        what = (each.id, each.metric, _on(each, names), each.kind, each.state, each.rows)
        rows.append((*what, "yes" if each.stale else None, *(figures.get(head) for head in heads)))
    yield Table(("id", "metric", "target", "kind", "state", "rows", "stale", *heads), rows)


def fitted_card(predictor: Predictor, names: Names) -> Iterator[Section]:
    """One line of figures, why this kind, and where to read more."""
    yield from predictors_table([predictor], names)
    reason = ((predictor.report or {}).get("choice") or {}).get("reason")
    if reason:
        yield Line(reason)
    yield Line(f"netwright predictors show {predictor.id} lists the largest errors and the learning curve")


def _on(predictor: Predictor, names: Names) -> str:
    return names.get(predictor.target or "", predictor.target or "")


ONE_OF = {"searches": "search"}
"""Kinds of rows whose singular is not the plural without its s."""


def removed_card(removed: Removed) -> Iterator[Section]:
    """What became of something that was deleted, and why."""
    if removed.state == "deleted":
        yield Line(f"{removed.id} is deleted")
        return
    by = ", ".join(counted(count, ONE_OF.get(noun, noun[:-1])) for noun, count in removed.referred_by.items())
    yield Line(f"{removed.id} is archived, not deleted: {by} refer to it; its name is free again")


# --- jobs ------------------------------------------------------------------------------------------


def job_card(job: Job) -> Iterator[Section]:
    """State, progress, error, result and log."""
    yield Fields(
        {
            "id": job.id,
            "kind": job.kind,
            "state": job.state,
            "priority": job.priority,
            "progress": progress_of(job),
            "message": job.message,
            "error": f"{in_commands(job.error.message)} [{job.error.code}]" if job.error else None,
            "makes": _makes(job),
            "result": job.result,
            "attempts": job.attempts,
            "created": job.created_at,
            "started": job.started_at,
            "finished": job.finished_at,
        }
    )
    for line in job.log:
        yield Line(f"  {in_commands(line)}")


def jobs_table(jobs: Iterable[Job]) -> Table:
    """A line a job."""
    columns = ("id", "kind", "state", "priority", "progress", "message", "makes", "created")
    rows = [
        (j.id, j.kind, j.state, j.priority, progress_of(j), j.message, _makes(j), j.created_at) for j in jobs
    ]
    return Table(columns, rows)


def _makes(job: Job) -> str | None:
    return f"{job.resource.type} {job.resource.id}" if job.resource else None


def progress_of(job: Job) -> str:
    """``3/24, 41 s left``."""
    shown = job.progress_shown()
    left = f", {shown.left}" if shown.left and not job.finished else ""
    return f"{shown.done}/{shown.total}{left}"
