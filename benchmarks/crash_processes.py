"""The processes of the crash campaign: a service and its workers, and a PostgreSQL cluster of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa

from netwright.processes import free_port
from service.db.tables import Job, Worker
from service.errors import UnavailableError

START_S = 120.0
WORKER = "worker"
API = "api"


class Fleet:
    """A service and workers as processes on loopback; a killed one is started again."""

    def __init__(self, home: Path, database_url: str, workers: int, *, api: bool = True) -> None:
        """``api``: whether a service is started, or only workers."""
        self.home, self.port = home, free_port()
        self._environment = {
            **os.environ,
            "NETWRIGHT_HOME": str(home),
            "NETWRIGHT_DATABASE_URL": database_url,
            "NETWRIGHT_PORT": str(self.port),
            "NETWRIGHT_HEARTBEAT_S": "0.5",
            "NETWRIGHT_WORKER_TIMEOUT_S": "5",
            "NETWRIGHT_MEASURE_ROUNDS": "20",
            "NETWRIGHT_MEASURE_BLOCK_MS": "1",
            # Kills are far more frequent here than where three deaths on one step mean a poisoned job.
            "NETWRIGHT_MAX_ATTEMPTS": "100",
        }
        self.workers = workers
        self._database = database_url or f"sqlite:///{home / 'netwright.db'}"
        self.names = [*([API] if api else []), *(f"{WORKER} {number}" for number in range(workers))]
        self._processes = {name: self._started(name) for name in self.names}

    @property
    def url(self) -> str:
        """Where the service answers."""
        return f"http://127.0.0.1:{self.port}"

    def busy(self) -> int:
        """How many of the workers that run now have a job; 0 while the database does not answer."""
        pids = [process.pid for name, process in self._processes.items() if name != API]
        engine = sa.create_engine(self._database, poolclass=sa.NullPool)
        jobs = sa.select(sa.func.count(Worker.id.distinct())).join(Job, Job.worker_id == Worker.id)
        running = jobs.where(Worker.pid.in_(pids), Worker.state == "alive", Job.state == "running")
        try:
            with engine.connect() as connection:
                return connection.scalar(running) or 0
        except sa.exc.OperationalError:
            return 0

    def kill(self, name: str) -> None:
        """End a process without notice, and start it again."""
        process = self._processes[name]
        process.kill()
        process.wait()
        self._processes[name] = self._started(name)

    def ended(self) -> list[str]:
        """Processes that ended without being killed, with their last words; they are started again."""
        found = []
        for name, process in self._processes.items():
            if process.poll() is not None:
                lines = self._log(name).read_text(errors="replace").splitlines()
                found.append(f"{name}: status {process.returncode}, {lines[-1] if lines else 'no log'}")
                self._processes[name] = self._started(name)
        return found

    def close(self) -> None:
        """End everything."""
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _log(self, name: str) -> Path:
        return self.home / f"{name.replace(' ', '-')}.log"

    def _started(self, name: str) -> subprocess.Popen[bytes]:
        with self._log(name).open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "netwright", "serve" if name == API else "worker"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )


class Cluster:
    """A PostgreSQL server of its own on loopback, never the machine's; PostgreSQL refuses to run as root."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self._binaries = _binaries()
        self._prefix = _as_other_user()
        if self._prefix:
            entry = pwd.getpwnam("postgres")
            folder.mkdir(mode=0o700, exist_ok=True)
            os.chown(folder, entry.pw_uid, entry.pw_gid)
        self._run("initdb", "-D", str(folder / "data"), "-A", "trust", "-U", "netwright", "--no-sync")
        self.start()
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "netwright", "netwright")

    @property
    def url(self) -> str:
        """SQLAlchemy URL of its database."""
        return f"postgresql+psycopg://netwright@127.0.0.1:{self.port}/netwright"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder}"
        log = str(self.folder / "log")
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-o", options, "-l", log, "-w", "start")

    def stop(self) -> None:
        """Stop the server without notice to its clients; it recovers at its next start."""
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "-w", "stop")

    def restart(self, pause_s: float) -> None:
        """An outage of some seconds."""
        self.stop()
        time.sleep(pause_s)
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [*self._prefix, str(self._binaries / program), *arguments],
            check=True,
            cwd="/",
            stdout=subprocess.DEVNULL,
            timeout=START_S,
        )


def _binaries() -> Path:
    """Where initdb is."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not versions:
        raise UnavailableError("PostgreSQL's server programs (initdb, pg_ctl) must be installed, found none")
    return versions[-1].parent


def _as_other_user() -> Sequence[str]:
    """A command that drops the rights of root, or none for another user."""
    if os.geteuid() != 0:
        return ()
    entry = pwd.getpwnam("postgres")
    return ("setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups")
