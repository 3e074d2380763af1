"""The loop of the agent: lease networks, measure them, send rows; survives restarts of the server and its own."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from netwright.agent.device import Device, host
from netwright.agent.folder import Folder, open_folder
from netwright.agent.heartbeat import Heartbeat
from netwright.client import Client
from netwright.client.http.decode import read
from netwright.client.http.models import LeasedItem, LeaseView, Object, Reference, ResultsView
from netwright.client.resource import counted
from netwright.errors import (
    ApiError,
    ConflictError,
    NetwrightError,
    NotFoundError,
    ServerError,
    UnreachableError,
)
from netwright.progress import WAIT, Show, Shown, duration, steps

T = TypeVar("T")
Say = Callable[[str], None]
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
LEASES = "/v1/measurement-leases"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The options of ``netwright agent``; ``patience_s`` limits how long a server may be unreachable."""

    target: str
    work: Path
    name: str | None = None
    batch: int = 16
    poll_s: float = 5.0
    patience_s: float = 86_400.0
    once: bool = False
    until_idle: bool = False


class Agent:
    """One agent of one target. ``say`` is called with a line per event, ``show`` with the progress of a batch."""

    def __init__(self, client: Client, plan: Plan, say: Say, show: Show) -> None:
        self._client, self._plan, self._say, self._show = client, plan, say, show
        self._http = client.connection
        self._wait = time.sleep

    def run(self) -> int:
        """Work until stopped or until the plan is done; returns the number of measured networks."""
        plan = self._plan
        target = self._steadily(lambda: self._client.targets.get(plan.target))
        if target.measured_by != "agent":
            raise NetwrightError(
                f"an agent measures for targets of kind agent, {plan.target!r} is of kind {target.kind}; "
                "`netwright targets add agent --name …` makes one"
            )
        device = Device(target.kind, target.settings)
        folder = open_folder(plan.work, target.id, plan.name, host())
        try:
            found = device.describe()
            where, runtime = found["device"], found["runtime"]
            self._say(
                f"agent {folder.name} of target {target.name} on {where['cpu']} ({where['cores']} cores), "
                f"{runtime['name']} {runtime['version']}"
            )
            return self._work(target.id, device, folder, found)
        finally:
            folder.close()

    def _work(self, target: str, device: Device, folder: Folder, found: Object) -> int:
        body = {"target": target, "agent": folder.name, "description": found, "max_items": self._plan.batch}
        for lease, rows in list(folder.kept()):
            self._say(f"{_rows(rows, 'was', 'were')} measured but not sent before this agent ended")
            self._send(folder, lease, rows)
        measured, idle = 0, False
        while True:
            answer = self._steadily(lambda: self._http.post(LEASES, body))
            if answer:
                idle = False
                measured += self._batch(read(LeaseView, answer), device, folder)
                if self._plan.once:
                    return measured
                continue
            if self._plan.until_idle or self._plan.once:
                self._say("nothing to do")
                return measured
            if not idle:
                self._say(f"nothing to do; asking every {self._plan.poll_s:g} s")
            idle = True
            self._wait(self._plan.poll_s)

    # --- a batch -----------------------------------------------------------------------------------

    def _batch(self, lease: LeaseView, device: Device, folder: Folder) -> int:
        """Measure a leased batch and send the rows; returns the number of accepted rows."""
        count, began = len(lease.items), time.monotonic()
        self._say(
            f"{counted(count, 'net')} to measure{'' if lease.calibrations else ', and reference nets to calibrate'}"
        )
        try:
            with Heartbeat(self._http, lease.id, lease.expires_in_s).beating() as heart:
                rows = self._measure(lease, device, folder, heart)
        except ConflictError as error:
            self._say(f"the batch is lost: {error}")
            return 0
        except BaseException:
            self._give_back(lease.id)
            raise
        finally:
            folder.tidy()
        folder.keep(lease.id, rows)
        verdicts = Counter(row["verdict"] for row in rows["rows"])
        words = ", ".join(f"{number} {verdict}" for verdict, number in verdicts.most_common())
        self._say(f"measured {counted(count, 'net')} in {duration(time.monotonic() - began)}: {words}")
        return self._send(folder, lease.id, rows)

    def _measure(self, lease: LeaseView, device: Device, folder: Folder, heart: Heartbeat) -> Object:
        references = {entry.name: self._download(entry, folder) for entry in lease.references}
        files = {entry.id: self._download(entry, folder) for entry in lease.items}
        began, waits, draw = time.monotonic(), list[int](), steps(self._show)
        self._say("the files are here; measuring")

        def progress(step: str, done: int, total: int) -> None:
            heart.report(step, done, total)
            if step == WAIT:
                if not waits:
                    self._say("another measuring run is on this machine; waiting for it")
                waits.append(done)
                draw(step, done, total)
                return
            left = (time.monotonic() - began) / done * (total - done) if done else None
            self._show(Shown(f"{step} {counted(len(files), 'net')}, round", done, total, left))

        rows, calibrations = device.measure(lease, files, references, progress)
        return {"rows": rows, "calibrations": None if lease.calibrations else calibrations}

    def _download(self, entry: LeasedItem | Reference, folder: Folder) -> Path:
        path = folder.nets / f"{entry.sha256}.onnx"
        if not path.exists():  # downloads are atomic and verified by hash
            self._steadily(lambda: self._http.download(f"/v1/artifacts/{entry.sha256}", path, entry.sha256))
        return path

    def _send(self, folder: Folder, lease: str, rows: Object) -> int:
        """Send rows until the server has stored them; returns the number of accepted rows."""
        try:
            answer = self._steadily(lambda: self._http.post(f"{LEASES}/{lease}/results", rows))
            results = read(ResultsView, answer)
        except NotFoundError as error:
            self._say(f"rows of an unknown lease are dropped: {error}")
            folder.drop(lease)
            return 0
        except ApiError as error:
            if error.status == 422:
                folder.drop(lease)  # sending them again would have no effect
            else:
                self._say(
                    f"{_rows(rows, 'is', 'are')} kept in {folder.path} and sent by the next agent on this machine"
                )
            raise
        folder.drop(lease)
        faults: dict[tuple[str, str], list[object]] = {}
        for row in results.refused:
            faults.setdefault((row.field, str(row.allowed)), []).append(row.got)
        for (field, allowed), got in faults.items():
            which = f"{len(got)} rows" if len(got) > 1 else "a row"
            self._say(f"{which} refused: {field} must be {allowed}, got {got[0]}")
        return results.recorded + results.known

    def _give_back(self, lease: str) -> None:
        with contextlib.suppress(NetwrightError):
            self._http.post(f"{LEASES}/{lease}:release")
            self._say("the batch is given back")

    # --- an unreachable server ---------------------------------------------------------------------

    def _steadily(self, call: Callable[[], T]) -> T:
        """Retry a call while the server is unreachable, with increasing waits, up to the plan's ``patience_s``."""
        pause, away_since = FIRST_WAIT_S, None
        while True:
            try:
                answer = call()
            except (UnreachableError, ServerError) as error:
                away_since = away_since or time.monotonic()
                gone = time.monotonic() - away_since
                if gone >= self._plan.patience_s:
                    raise
                left = duration(self._plan.patience_s - gone)
                self._say(f"{str(error).splitlines()[0]}; trying again in {pause:g} s, for {left} more")
                self._wait(min(pause, max(self._plan.patience_s - gone, 0.0)))
                pause = min(pause * 2, LONGEST_WAIT_S)
            else:
                if away_since is not None:
                    self._say("the server answers again")
                return answer


def _rows(rows: Mapping[str, Sequence[object]], one: str, many: str) -> str:
    """How many rows there are, with the verb: ``1 row is``, ``2 rows are``."""
    count = len(rows["rows"])
    return f"{counted(count, 'row')} {one if count == 1 else many}"
