"""Predictors and their report cards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from netwright.connection import JSON, Connection
from netwright.errors import NetwrightError
from netwright.resources.files import file_body
from netwright.resources.jobs import DEFAULT_TIMEOUT_S, Jobs, OnProgress, Pending
from netwright.resources.supernets import Supernets
from netwright.resources.targets import Targets


class Predictor(Pending):
    """A predictor of one metric of one supernet (and target); ``report`` says how far to trust it."""

    def __init__(self, data: JSON, predictors: Predictors, jobs: Jobs) -> None:
        super().__init__(data)
        self._predictors, self._jobs = predictors, jobs

    def refresh(self) -> None:
        """Ask the server again."""
        self.data = self._predictors.get(self.id).data

    def wait(
        self, timeout: float = DEFAULT_TIMEOUT_S, progress: OnProgress | bool | None = None
    ) -> Predictor:
        """Wait until it is fitted."""
        self.job.wait(timeout, progress)
        self.refresh()
        return self

    def save_plot(self, path: str | Path) -> Path:
        """Save predicted against measured of held-out rows as PNG; refused where the card has none."""
        plot = (self.data.get("report") or {}).get("plot")
        if plot is None:
            done = self.data["state"] == "succeeded"
            why = "too few rows to hold any out" if done else f"its fit is {self.data['state']}"
            raise NetwrightError(f"predictor {self.id} has no plot: {why}")
        self._predictors.download(plot["sha256"], Path(path))
        return Path(path)


class Predictors:
    """``client.predictors``."""

    def __init__(self, connection: Connection, jobs: Jobs, supernets: Supernets, targets: Targets) -> None:
        self._connection, self._jobs, self._supernets, self._targets = connection, jobs, supernets, targets

    def fit(
        self, supernet: str, *, metric: str, target: str | None = None, kind: str | None = None
    ) -> Predictor:
        """Fit a predictor to everything measured so far; ``supernet`` and ``target`` by id or name.

        Without ``kind`` all kinds are compared on held-out rows, and ``report["choice"]`` says why one was taken.
        """
        body = {
            "supernet": self._supernets.get(supernet).id,
            "target": self._targets.get(target).id if target else None,
            "metric": metric,
            "kind": kind,
        }
        return self.get(self._connection.post("/v1/predictors", body)["id"])

    def bring(
        self,
        supernet: str,
        file: Path | str,
        *,
        metric: str | None = None,
        target: str | None = None,
        on_server: bool = False,
    ) -> Predictor:
        """Import what somebody else learned, in once-for-all's layout.

        For the supernet's quality ``file`` is a network (npz or .pth), with a ``target`` it is a table of operators
        (YAML) whose sum is the latency. It is sent with the request, or with ``on_server`` a path inside the
        server's import folder. From 10 evaluated (5 measured) subnets on it is fitted to them; with fewer its card
        says ``calibrated: false``.
        """
        found = self._supernets.get(supernet)
        body = {
            "supernet": found.id,
            "target": self._targets.get(target).id if target else None,
            "metric": metric or ("latency_ms" if target else found["quality"]),
            "import": file_body(file, on_server=on_server),
        }
        return self.get(self._connection.post("/v1/predictors", body)["id"])

    def get(self, id: str) -> Predictor:
        """The predictor with this id."""
        return Predictor(self._connection.get(f"/v1/predictors/{id}"), self, self._jobs)

    def download(self, sha256: str, destination: Path) -> None:
        """Save the artifact with this hash."""
        self._connection.download(f"/v1/artifacts/{sha256}", destination, sha256)

    def list(
        self, *, supernet: str | None = None, target: str | None = None, metric: str | None = None
    ) -> Iterator[Predictor]:
        """All predictors that fit, newest first; ``supernet`` and ``target`` are ids."""
        query = {"supernet": supernet, "target": target, "metric": metric}
        for row in self._connection.pages("/v1/predictors", query):
            yield Predictor(row, self, self._jobs)
