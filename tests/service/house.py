"""A service, workers and agents as real processes over loopback, to be killed at will."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from netwright.client import Client
from netwright.errors import NetwrightError
from netwright.processes import free_port

ROOT = Path(__file__).resolve().parents[2]
DEVICE = Path(__file__).parent / "no_server"


class House:
    """Everything it starts is gone when it is closed."""

    def __init__(self, settings, folder, **environment):
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        ours = {
            "NETWRIGHT_HOME": str(settings.home),
            "NETWRIGHT_DATABASE_URL": settings.database_url,
            "NETWRIGHT_PORT": str(self.port),
            "NETWRIGHT_HEARTBEAT_S": "0.2",
            "NETWRIGHT_POLL_S": "0.1",
            "NETWRIGHT_MEASURE_ROUNDS": "20",
            "NETWRIGHT_MEASURE_BLOCK_MS": "1",
            **environment,
        }
        self._environment = {**os.environ, **ours}
        self._started = []

    def start(self, *arguments, **environment):
        """``netwright …``; what it says is in a file of its own."""
        log = self.folder / f"{arguments[0]}-{len(self._started)}.log"
        with log.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "netwright", *arguments],
                cwd=ROOT,
                env={**self._environment, **environment},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        process.log = log
        self._started.append(process)
        return process

    def serve(self, key=None):
        process = self.start("serve")
        with Client(self.url, key, timeout=5.0) as client:
            wait_until(lambda: answers(client))
        return process

    def agent(self, key, *arguments, target="pi", name="a"):
        """An agent in an environment without anything of the server's."""
        options = ("--server", self.url, "--target", target, "--work", str(self.folder / "work"))
        return self.start(
            "agent",
            *options,
            *(("--name", name) if name else ()),
            *(("--key", key) if key else ()),
            "--poll",
            "0.2",
            *arguments,
            PYTHONPATH=f"{DEVICE}{os.pathsep}{ROOT}",
        )

    def close(self):
        for process in self._started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)


def answers(client):
    try:
        client.connection.get("/healthz")
    except NetwrightError:
        return False
    return True


def wait_until(condition, seconds=240.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def said(process):
    return process.log.read_text()


def ended(process, seconds=240.0):
    """Exit status, once it has ended by itself."""
    status = process.wait(seconds)
    return status
