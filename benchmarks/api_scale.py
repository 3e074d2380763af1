"""How reads of the HTTP API slow down as a database grows from 10^4 to 10^6 measurements, on both databases.

    python -m benchmarks.api_scale [--rows 10000 1000000] [--postgres URL] [--repeats 15] [--json OUT]
    python -m benchmarks.api_scale --read OUT --page docs/benchmarks/api-scale.md

The databases of both sizes are open at once and every read alternates between them, so that a busy machine slows both.
A ratio is the median of the larger database by that of the smaller one; the goal is at most 1.5 for every read. Fronts
are compared with the front of all points that were written, whose oldest are the best.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from fastapi.testclient import TestClient

from benchmarks.api_scale_rows import Filled
from benchmarks.figures import read_figures
from service.app import create_app
from service.ids import new_id
from service.run import migrate
from service.settings import Settings

GOAL = 1.5


def reads(filled: Filled) -> dict[str, tuple[str, dict[str, Any]]]:
    """What is asked: a name to path and query."""
    supernet, target = filled.supernets[1], filled.targets[2]
    measurements: dict[str, dict[str, Any]] = {
        "": {},
        " deep": {"page_token": filled.token},
        " supernet": {"supernet": supernet},
        " target": {"target": target},
        " rare metric": {"metric": "peak_memory_mb"},
        " split": {"split": "validation"},
        " supernet, metric": {"supernet": supernet, "metric": "latency_ms"},
        " supernet, target, metric": {"supernet": supernet, "target": target, "metric": "latency_ms"},
        " subnet": {"subnet": f"sub_{7:016d}"},
        " job": {"job": f"job_{7:016d}"},
        " nothing": {"metric": "energy_mj"},
    }
    fronts: dict[str, dict[str, Any]] = {
        "": {},
        " target": {"target": target},
        " max latency": {"max_latency_ms": 0.5},
        " min quality": {"min_accuracy": 0.96},
        " max params": {"max_params": 0.5},
        " small params": {"max_params": 0.06},
        " min params, max params": {"min_params": 0.5, "max_params": 0.51},
        " max quality": {"max_accuracy": 0.9},
        # Of the two fronts that grow, this many points as both sizes have: what an answer of one size costs.
        " min params, max params, max points": {"min_params": 0.5, "max_params": 0.51, "max_points": 1},
        " max quality, max points": {"max_accuracy": 0.9, "max_points": 30},
        " min latency, max macs": {"min_latency_ms": 0.2, "max_macs": 0.7},
        " min macs, max params": {"min_macs": 0.3, "max_params": 0.2},
        " target, max params": {"target": target, "max_params": 0.5},
        " knee": {"pick": "knee"},
    }
    return {
        "supernets": ("/v1/supernets", {}),
        "supernet": (f"/v1/supernets/{supernet}", {}),
        "targets": ("/v1/targets", {}),
        "target": (f"/v1/targets/{target}", {}),
        **{f"measurements{name}": ("/v1/measurements", query) for name, query in measurements.items()},
        "predictors": ("/v1/predictors", {}),
        "predictors supernet, metric": (
            "/v1/predictors",
            {"supernet": supernet, "metric": "latency_ms"},
        ),
        "predictor": (f"/v1/predictors/prd_{7:016d}", {}),
        "searches": ("/v1/searches", {}),
        "searches supernet": ("/v1/searches", {"supernet": supernet}),
        "searches label": ("/v1/searches", {"label": "team=1"}),
        "searches label that none has": ("/v1/searches", {"label": "team=9"}),
        "searches label, label": ("/v1/searches", {"label": ["team=1", "run=7"]}),
        "searches supernet, label": ("/v1/searches", {"supernet": supernet, "label": "team=1"}),
        "searches state": ("/v1/searches", {"state": "succeeded"}),
        "search": (f"/v1/searches/sea_{7:016d}", {}),
        **{
            f"fronts{name}": ("/v1/fronts", {"supernet": supernet, **query}) for name, query in fronts.items()
        },
        "front of a search": (f"/v1/searches/sea_{7:016d}/front", {}),
        "subnet": (f"/v1/subnets/sub_{7:016d}", {}),
        "jobs": ("/v1/jobs", {}),
        "jobs kind": ("/v1/jobs", {"kind": "search"}),
        "jobs state": ("/v1/jobs", {"state": "failed"}),
        "jobs kind, state": ("/v1/jobs", {"kind": "measure", "state": "failed"}),
        "job": (f"/v1/jobs/job_{7:016d}", {}),
        "readyz": ("/readyz", {}),
    }


def compare(filled: Sequence[Filled], repeats: int, only: str = "") -> dict[str, dict[str, Any]]:
    """Median milliseconds of every read that begins with ``only``, smaller and larger database, and their ratio.

    What is over the goal is measured twice more: the median of the three ratios counts, and all are kept.
    """
    found = {}
    for name in (name for name in reads(filled[0]) if name.startswith(only)):
        entry = _compared(filled, name, repeats)
        if entry["ratio"] > GOAL:
            again = sorted([entry, *(_compared(filled, name, repeats) for _ in range(2))], key=_ratio)
            entry = {**again[1], "ratios": [_ratio(each) for each in again]}
        found[name] = entry
        print(
            f"{name:42} {entry['small_ms']:8.1f} ms {entry['large_ms']:8.1f} ms  x {entry['ratio']:.2f}",
            flush=True,
        )
    return found


def _ratio(entry: Mapping[str, Any]) -> float:
    return float(entry["ratio"])


def _compared(filled: Sequence[Filled], name: str, repeats: int) -> dict[str, Any]:
    """One read, alternating between the databases; ``rows`` is how many points or items each answer has.

    ``processor_ratio`` is that of this process's processor time, which does not count a database server's.
    """
    times: list[list[float]] = [[] for _ in filled]
    busy: list[list[float]] = [[] for _ in filled]
    rows = [0 for _ in filled]
    for _ in range(repeats):
        for index, each in enumerate(filled):
            path, query = reads(each)[name]
            started, processor = time.perf_counter(), time.process_time()
            answer = each.client.get(path, params=query)
            busy[index].append(time.process_time() - processor)
            times[index].append(1000 * (time.perf_counter() - started))
            assert answer.status_code in (200, 503 if name == "readyz" else 200), answer.text
            listed = answer.json().get("items", answer.json().get("points"))
            rows[index] = len(listed) if isinstance(listed, list) else 1
            if path == "/v1/fronts" and "pick" not in query:
                each.check_front(answer.json(), query)
    small, large = (statistics.median(each) for each in times)
    return {
        "small_ms": round(small, 2),
        "large_ms": round(large, 2),
        "ratio": round(large / small, 2),
        "processor_ratio": round(statistics.median(busy[1]) / statistics.median(busy[0]), 2),
        "rows": rows,
    }


def measure(
    urls: Sequence[str], rows: Sequence[int], folder: Path, repeats: int, only: str
) -> dict[str, dict[str, Any]]:
    """Fill one database for each size at these URLs, and compare them."""
    with ExitStack() as stack:
        filled = []
        for url, count in zip(urls, rows, strict=True):
            settings = Settings(home=folder / f"home-{count}", database_url=url)
            migrate(settings)
            app = create_app(settings)
            client = stack.enter_context(TestClient(app, base_url="http://127.0.0.1"))
            started = time.perf_counter()
            filled.append(Filled(client, app.state.services.database, count, only))
            print(f"{count} rows were written in {time.perf_counter() - started:.0f} s", flush=True)
        return compare(filled, repeats, only)


PAGE_BEGINS, PAGE_ENDS = "<!-- figures begin -->\n", "<!-- figures end -->\n"


def write_page(found: Mapping[str, Any], page: Path) -> None:
    """Put the figures between the marks of a page."""
    kinds = [kind for kind in ("sqlite", "postgresql") if kind in found]
    names = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
    lines = ["| read | " + " | ".join(f"{names[kind]} 10^4 | 10^6 | ratio" for kind in kinds) + " |"]
    lines.append("|---" * (1 + 3 * len(kinds)) + "|")
    for name in found[kinds[0]]:
        each = [found[kind][name] for kind in kinds]
        cells = [
            f"{entry['small_ms']:.1f} | {entry['large_ms']:.1f} | {entry['ratio']:.2f}" for entry in each
        ]
        lines.append(f"| {name}{_sizes([entry['rows'] for entry in each])} | " + " | ".join(cells) + " |")
    over = [
        f"{name} ({names[kind]} {_described(entry)})"
        for kind in kinds
        for name, entry in found[kind].items()
        if entry["ratio"] > found["goal"]
    ]
    total = sum(len(found[kind]) for kind in kinds)
    lines += [
        "",
        f"{total - len(over)} of {total} reads are within the goal. Over it: {', '.join(over) or 'none'}.",
        "",
    ]
    before, _, rest = page.read_text().partition(PAGE_BEGINS)
    page.write_text(
        before + PAGE_BEGINS + "\n" + "\n".join(lines) + "\n" + PAGE_ENDS + rest.partition(PAGE_ENDS)[2]
    )


def _sizes(rows: Sequence[Sequence[int]]) -> str:
    """How many rows the answers of both sizes have, where they differ: a longer answer takes longer."""
    differing = [f"{small} and {large} rows" for small, large in rows if small != large]
    return f" ({', '.join(dict.fromkeys(differing))})" if differing else ""


def _described(entry: Mapping[str, Any]) -> str:
    """A ratio over the goal: three runs, and how much larger the answer is."""
    small, large = entry["rows"]
    runs = f"runs {min(entry['ratios']):.2f} to {max(entry['ratios']):.2f}"
    return (
        f"{entry['ratio']:.2f}, {runs}, processor time {entry['processor_ratio']:.2f}, rows in the answer {small} and "
        f"{large}"
    )


def _made(server: str, stack: ExitStack) -> str:
    """A database of its own on a PostgreSQL server, dropped at the end."""
    name = new_id("netwright_scale")
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f'CREATE DATABASE "{name}"')

    def drop() -> None:
        with engine.connect() as connection:
            connection.exec_driver_sql(f'DROP DATABASE "{name}" WITH (FORCE)')
        engine.dispose()

    stack.callback(drop)
    return sa.make_url(server).set(database=name).render_as_string(hide_password=False)


def main(arguments: Sequence[str] | None = None) -> Mapping[str, Any]:
    """Run, print a line for each read, and write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs=2, default=[10_000, 1_000_000])
    parser.add_argument("--postgres", help="URL of a server; without it only SQLite is measured")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--only", default="", help="Reads that begin so, e.g. fronts; others stay in --json")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--read", type=Path, help="Figures of an earlier run, for --page")
    parser.add_argument("--page", type=Path, help="Page that the figures are written into")
    given = parser.parse_args(arguments)
    if given.read and given.page:
        found = read_figures(given.read)
        write_page(found, given.page)
        return found
    found = {"rows": given.rows, "repeats": given.repeats, "goal": GOAL}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        lite = [f"sqlite:///{folder}/{count}.db" for count in given.rows]
        found["sqlite"] = measure(lite, given.rows, Path(folder) / "sqlite", given.repeats, given.only)
        if given.postgres:
            urls = [_made(given.postgres, stack) for _ in given.rows]
            found["postgresql"] = measure(
                urls, given.rows, Path(folder) / "postgresql", given.repeats, given.only
            )
    if given.json:
        if given.only and given.json.exists():
            before = read_figures(given.json)
            for kind in ("sqlite", "postgresql"):
                found[kind] = before.get(kind, {}) | found.get(kind, {})
        given.json.write_text(json.dumps(found, indent=2) + "\n")
    return found


if __name__ == "__main__":
    main()
