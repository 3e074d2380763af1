"""Nothing that the demo starts may outlive it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from netwright import processes
from netwright.errors import NetwrightError

SLEEP = "import time; print('up', flush=True); time.sleep(60)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"
linux = pytest.mark.skipif(sys.platform != "linux", reason="the death of a parent is told on Linux only")


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pid: int) -> bool:
    for _ in range(300):
        if not alive(pid):
            return True
        time.sleep(0.05)
    return False


@pytest.fixture
def sleeping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_command", lambda _: [sys.executable, "-c", SLEEP])


@linux
@pytest.mark.usefixtures("sleeping")
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, SystemExit])
def test_a_child_ends_with_its_block(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), processes._child("worker", tmp_path, dict(os.environ)) as child:
        assert alive(child.pid)
        raise error
    assert gone(child.pid)


@linux
def test_a_child_that_will_not_end_is_killed_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = f"subprocess.Popen([sys.executable, '-c', {SLEEP!r}])"
    code = f"import subprocess, sys; print({start}.pid, flush=True); {STUBBORN}"
    monkeypatch.setattr(processes, "_command", lambda _: [sys.executable, "-c", code])
    monkeypatch.setattr(processes, "STOP_TIMEOUT_S", 0.5)
    with processes._child("worker", tmp_path, dict(os.environ)) as child:
        for _ in range(200):
            lines = (tmp_path / "worker.log").read_text().split()
            if "up" in lines:
                break
            time.sleep(0.05)
    assert gone(child.pid)
    assert gone(int(next(line for line in lines if line.isdigit())))


@linux
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGKILL])
def test_a_child_ends_when_its_parent_is_signalled(tmp_path: Path, number: signal.Signals) -> None:
    code = (
        "import os, signal, sys, time; from pathlib import Path; from netwright import processes\n"
        # A shell's background jobs inherit an ignored SIGINT, which Python then leaves alone.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"processes._command = lambda _: [sys.executable, '-c', {SLEEP!r}]\n"
        f"home = Path({str(tmp_path)!r})\n"
        "with processes.terminating_signals(), processes._child('worker', home, dict(os.environ)) as child:\n"
        "    print(child.pid, flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.send_signal(number)
        parent.wait(30)
    assert gone(pid)


def test_signal_handlers_are_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with processes.terminating_signals():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_server_that_does_not_start_shows_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        processes,
        "_command",
        lambda name: [sys.executable, "-c", f"print('why {name}'); raise SystemExit({name == 'serve'})"],
    )
    with (
        pytest.raises(NetwrightError, match=r"netwright (serve|worker)` ended with status"),
        processes.running_server(tmp_path),
    ):
        pass


def test_a_migration_that_fails_shows_its_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        processes, "_command", lambda _: [sys.executable, "-c", "raise SystemExit('disk full')"]
    )
    with (
        pytest.raises(NetwrightError, match="netwright migrate` ended with status 1:\ndisk full"),
        processes.running_server(tmp_path),
    ):
        pass


def test_settings_of_another_installation_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NETWRIGHT_DATABASE_URL", "postgresql+psycopg://elsewhere/x")
    monkeypatch.setenv("NETWRIGHT_DATA", str(tmp_path))
    environment = processes._environment(tmp_path / "home", 1234)
    ours = {name for name in environment if name.startswith("NETWRIGHT_")}
    assert ours == {"NETWRIGHT_HOME", "NETWRIGHT_HOST", "NETWRIGHT_PORT", "NETWRIGHT_DATA"}


@linux
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_next_ends(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    def ended(*_: object) -> None:
        raise RuntimeError("ended")

    before = signal.signal(number, ended)
    try:
        with processes.first_signal_asks("again to end at once") as asked:
            assert not asked()
            os.kill(os.getpid(), number)
            assert asked() and "again to end at once" in capsys.readouterr().err
            with pytest.raises(RuntimeError, match="ended"):
                os.kill(os.getpid(), number)
                time.sleep(1)
        with processes.first_signal_asks("never asked"):
            pass
        assert signal.getsignal(number) is ended
    finally:
        signal.signal(number, before)
