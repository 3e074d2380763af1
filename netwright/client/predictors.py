"""Predictors and their report cards."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Unpack

from netwright.client.http import models
from netwright.client.http.files import file_body
from netwright.client.http.requests import PredictorsQuery
from netwright.client.jobs import Pending
from netwright.client.resource import Collection, Deletable, Listing, checked
from netwright.client.supernets import Supernets
from netwright.client.targets import Targets, with_ids
from netwright.errors import NetwrightError
from netwright.metric_names import LATENCY


class Predictor(Deletable, Pending, models.PredictorView):
    """A predictor of one metric of one supernet (and target); ``report`` is its report card."""

    path: ClassVar[str] = "/v1/predictors"
    shown: ClassVar[tuple[str, ...]] = ("id", "metric", "kind", "state", "rows", "stale")

    def save(self, path: str | Path) -> Path:
        """Save the fitted predictor as a file, for ``netwright train --predictor``; refused before it is fitted."""
        if self.version is None:
            raise NetwrightError(f"predictor {self.id} has no file: its fit is {self.state}")
        self._connection.download(f"/v1/artifacts/{self.version}", Path(path), self.version)
        return Path(path)

    def save_plot(self, path: str | Path) -> Path:
        """Save predicted against measured values of held-out rows as PNG; refused where the card has none."""
        plot = (self.report or {}).get("plot")
        if plot is None:
            why = "too few rows to hold any out" if self.state == "succeeded" else f"its fit is {self.state}"
            raise NetwrightError(f"predictor {self.id} has no plot: {why}")
        sha256 = str(plot["sha256"])
        self._connection.download(f"/v1/artifacts/{sha256}", Path(path), sha256)
        return Path(path)


class Predictors(Collection[Predictor]):
    """``client.predictors``; supernets and targets by id or name."""

    kind, noun = Predictor, "predictor"

    def fit(
        self, supernet: str, *, metric: str, target: str | None = None, kind: str | None = None
    ) -> Predictor:
        """Start to fit a predictor to everything measured so far.

        Without ``kind`` all kinds are compared on held-out rows, and ``report["choice"]`` gives the reason for the one
        that was chosen.
        """
        return self._create(
            {
                "supernet": Supernets(self._connection).id_of(supernet),
                "target": Targets(self._connection).id_of(target) if target else None,
                "metric": metric,
                "kind": kind,
            }
        )

    def import_file(
        self,
        supernet: str,
        file: Path | str,
        *,
        metric: str | None = None,
        target: str | None = None,
        on_server: bool = False,
    ) -> Predictor:
        """Import a predictor that was made elsewhere, in once-for-all's layout.

        For the supernet's quality ``file`` is a network (npz or .pth), with a ``target`` a table of operators (YAML)
        whose sum is the latency. It is sent with the request, or with ``on_server`` it is a path inside the server's
        import folder. From 10 evaluated (5 measured) subnets on it is calibrated on them; with fewer its card has
        ``calibrated: false``.
        """
        found = Supernets(self._connection).get(supernet)
        return self._create(
            {
                "supernet": found.id,
                "target": Targets(self._connection).id_of(target) if target else None,
                "metric": metric or (LATENCY if target else found.quality),
                "import": file_body(file, on_server=on_server),
            }
        )

    def _create(self, body: dict[str, object]) -> Predictor:
        return self.get(self._connection.post(Predictor.path, body)["id"])

    def list(self, **filters: Unpack[PredictorsQuery]) -> Listing[Predictor]:
        """All predictors that match, newest first."""
        return self._listed(with_ids(self._connection, checked(filters, PredictorsQuery)))
