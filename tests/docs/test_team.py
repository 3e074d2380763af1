"""The page for teams: the commands for machines without containers run as they stand."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import httpx
import pytest

from netwright.processes import free_port
from service.monitoring.collect import DatabaseMetrics
from tests.docs.pages import Shell, await_ready, blocks, surroundings
from tests.docs.test_operate import URL, postgres  # noqa: F401
from tests.service.conftest import ROOT

PAGE = ROOT / "docs" / "run-it-for-a-team.md"


@pytest.mark.postgres
@pytest.mark.timeout(600)
def test_a_service_for_a_team_without_containers(tmp_path: Path, postgres: str) -> None:  # noqa: F811
    port = str(free_port())
    mine = {"XDG_STATE_HOME": str(tmp_path / "state"), "NETWRIGHT_PORT": port}
    said = []
    with Shell(tmp_path, surroundings(Path(sys.executable).parent, **mine)) as shell:
        for block in blocks(PAGE):
            if block.language != "sh":
                continue
            said.append(shell.run(block.text.replace(URL, postgres)))
            if "serve" in block.text:
                await_ready(f"http://127.0.0.1:{port}")
        keys = re.findall(r"nw_[\w-]+", said[0])
        assert len(keys) == 3  # the first, of migrate, and two
        metrics = httpx.get(
            f"http://127.0.0.1:{port}/metrics", headers={"Authorization": f"Bearer {keys[2]}"}
        )
        assert "netwright_workers" in metrics.text
        assert httpx.get(f"http://127.0.0.1:{port}/v1/jobs").status_code == 401


def test_the_page_names_every_metric() -> None:
    text = PAGE.read_text()
    code = Path(sys.modules[DatabaseMetrics.__module__].__file__ or "").read_text()
    stored = set(re.findall(r'"(netwright_\w+)"', code))
    assert stored and all(re.search(rf"{name}(_total)?\b", text) for name in stored)
