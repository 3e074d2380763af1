"""What the commands of a server do. The only module here that imports the server's folders, and only when called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from netwright.errors import NetwrightError
from netwright.progress import bar, steps
from netwright.verdict import Checked

if TYPE_CHECKING:
    from service.db.session import Database

CHECK_BATCH = 256
MEASURING_RUNS = 3


@contextmanager
def readable() -> Iterator[None]:
    """Turn what the server's folders raise on purpose into an error of ours: a message, not a traceback."""
    from pydantic import ValidationError

    from predictors.errors import PredictorError
    from service.errors import ServiceError
    from service.settings import setting_fault
    from supernets.errors import SupernetError

    try:
        yield
    except (SupernetError, PredictorError, ServiceError) as error:
        raise NetwrightError(str(error)) from error
    except ValidationError as error:
        raise NetwrightError("; ".join(setting_fault(fault) for fault in error.errors())) from error


def serve(host: str | None, port: int | None) -> None:
    """Answer HTTP until a signal ends the process."""
    with readable():
        from service import run
        from service.settings import Settings

        given: dict[str, Any] = {"host": host, "port": port}
        run.serve(Settings(**{name: value for name, value in given.items() if value is not None}))


def worker() -> None:
    """Do jobs until a signal ends the process."""
    with readable():
        from service import run
        from service.settings import Settings

        run.worker(Settings())


def migrate() -> None:
    """Bring the database to the newest schema, and say which that is."""
    with readable():
        from service import run
        from service.settings import Settings

        typer.echo(f"the database has schema {run.migrate(Settings())}")


# --- keys ------------------------------------------------------------------------------------------


@contextmanager
def _database() -> Iterator[Database]:
    with readable():
        from service.db.session import Database
        from service.run import require_schema
        from service.settings import Settings

        settings = Settings()
        require_schema(settings)
        database = Database(settings.database)
        try:
            yield database
        finally:
            database.dispose()


def create_key(name: str, scopes: list[str]) -> dict[str, Any]:
    """A new key of the default project, with its secret."""
    with _database() as database, database.write() as session:
        from service.http.keys import make_key
        from service.ids import DEFAULT_PROJECT

        row, secret = make_key(session, DEFAULT_PROJECT, name, scopes)
        return {"name": row.name, "scopes": row.scopes, "key": secret}


def list_keys() -> list[dict[str, Any]]:
    """Every key of the default project, without secrets."""
    with _database() as database, database.read() as session:
        from service.http.keys import list_keys as every_key
        from service.ids import DEFAULT_PROJECT

        return [
            {
                "name": row.name,
                "scopes": row.scopes,
                "created_at": f"{row.created_at:%Y-%m-%d %H:%M}",
                "revoked_at": f"{row.revoked_at:%Y-%m-%d %H:%M}" if row.revoked_at else None,
            }
            for row in every_key(session, DEFAULT_PROJECT)
        ]


def revoke_key(name: str) -> None:
    """Refuse a key from now on."""
    with _database() as database, database.write() as session:
        from service.http.keys import revoke_key as revoke
        from service.ids import DEFAULT_PROJECT

        revoke(session, DEFAULT_PROJECT, name)


# --- check a downloaded file -----------------------------------------------------------------------


def check_file(path: Path, supernet: Mapping[str, Any], target: Mapping[str, Any]) -> Checked:
    """Run an ONNX file on the test images of its supernet's data set, and measure it on this machine.

    ``supernet`` and ``target`` are what the API shows of them. A measurement that is not good is repeated, at
    most ``MEASURING_RUNS`` times in all.
    """
    with readable():
        accuracy, images = _accuracy(path, supernet)
        timing: dict[str, Any] = {}
        for _ in range(MEASURING_RUNS):
            timing = _measure(path, target)
            if timing["verdict"] in ("good", "unsupported"):
                break
    return Checked(
        accuracy=accuracy,
        images=images,
        latency_ms=timing["latency_ms"],
        raw_p50_ms=timing["raw_ms"].get("p50"),
        rounds=timing["rounds"],
        verdict=timing["verdict"],
        error=timing["error"],
    )


def _accuracy(path: Path, supernet: Mapping[str, Any]) -> tuple[float, int]:
    """Share of the test images that a file classifies right, and their number."""
    import onnxruntime

    from supernets.data import load_data, prepare

    data = load_data(supernet["data"]["name"])
    announced = supernet["data"]["splits"]["test"]["sha256"]
    if data.test.sha256 != announced:
        raise NetwrightError(f"the test images must have SHA-256 {announced}, got {data.test.sha256}")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    image = session.get_inputs()[0]
    right, n = 0, len(data.test.images)
    for start in range(0, n, CHECK_BATCH):
        batch = slice(start, start + CHECK_BATCH)
        ready = prepare(data.test.images[batch], image.shape[2], data.mean, data.std)
        scores = session.run(None, {image.name: ready.numpy()})[0]
        right += int((scores.argmax(axis=1) == data.test.labels[batch].numpy()).sum())
    return right / n, n


def _measure(path: Path, target: Mapping[str, Any]) -> dict[str, Any]:
    """A fresh measurement of the file, on the scale of the target's own calibration."""
    from predictors import TARGETS
    from predictors.measuring.protocol import Calibration

    stored = target["calibrations"] or {}
    calibrations = {name: Calibration(**entry) for name, entry in stored.items()}
    kind = TARGETS.load(target["kind"])
    here = kind(kind.settings_type(**target["settings"]), calibrations)
    with bar("measuring") as show:
        return dict(here.run({"subnet": path}, progress=steps(show)).timings[0].as_json())
