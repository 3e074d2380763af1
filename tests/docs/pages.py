"""A page of the documentation as a reader follows it: its code blocks, and a shell that runs them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PATIENCE_S = 10.0
TRIES = 6
"""How often a reader repeats what a busy machine spoils, as the pages say."""
STATUS = "exit status"
READY_S = 120.0


@dataclass(frozen=True, slots=True)
class Block:
    """A code block and the heading above it."""

    heading: str
    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """The code blocks of a page in their order."""
    found = []
    for section in re.split(r"^## ", page.read_text(), flags=re.MULTILINE)[1:]:
        heading = section.splitlines()[0]
        found += [Block(heading, *match.groups()) for match in BLOCK.finditer(section)]
    return found


class Shell:
    """One bash in one folder, as long as a ``with`` block lasts; what it started in the background ends with it."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._log = ""
        self._failed, self._end = "=== a command failed ===", "=== end of the block ==="
        self._bash = subprocess.Popen(
            ["bash", "-eu", "-o", "pipefail"],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._write(f"trap \"echo '{self._failed}'\" EXIT")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._signal(signal.SIGTERM)
        try:
            self._log += self._bash.communicate(timeout=PATIENCE_S)[0]
        except subprocess.TimeoutExpired:
            pass
        self._signal(signal.SIGKILL)
        self._bash.communicate(timeout=PATIENCE_S)
        if error is not None:
            error.add_note(self._log)

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self._bash.pid, number)
        except ProcessLookupError:
            pass

    def _write(self, line: str) -> None:
        assert self._bash.stdin is not None
        self._bash.stdin.write(f"{line}\n")
        self._bash.stdin.flush()

    def run(self, commands: str) -> str:
        """Run commands as they stand; what they and those in the background print. A command that fails fails all."""
        self._write(f"{{\n{commands}\n}} </dev/null\necho\necho '{self._end}'")
        assert self._bash.stdout is not None
        said = ""
        for line in self._bash.stdout:
            self._log += line
            if line.strip() == self._end:
                return said
            if line.strip() == self._failed:
                break
            said += line
        raise AssertionError(f"a command of this block failed:\n{commands}\n{said}")

    def attempt(self, commands: str) -> str:
        """Run commands; what they print, and :data:`STATUS` with their exit status where it is not 0."""
        return self.run(f'{{\n{commands}\n}} || echo "{STATUS} $?"')


def await_ready(url: str) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/readyz", timeout=5).json().get("workers"):
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"no service with a worker at {url} within {READY_S:g} s")


def surroundings(programs: Path, **more: str) -> dict[str, str]:
    """The environment of a new user: no settings of this project, these programs first."""
    kept = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("NETWRIGHT_", "PYTHON", "VIRTUAL_ENV", "COLUMNS"))
    }
    return {**kept, "PATH": f"{programs}:{os.environ['PATH']}", **more}


def filled(commands: str, words: Mapping[str, str]) -> str:
    """Commands with the reader's own words in place of those in capitals."""
    for word, own in words.items():
        commands = re.sub(rf"(?<![\w$]){re.escape(word)}\b", own, commands)
    return commands
