"""The page on networks of one's own: its first step runs as it stands, and all its commands have the options it names.

The service behind steps 2 and 3 is tested over HTTP (``tests/service/test_conversions.py``).
"""

from __future__ import annotations

import runpy
import shlex
import sys
from pathlib import Path

import click
import pytest
import torch
import typer.main
from safetensors.torch import save_file

from netwright.cli import app
from supernets.checkpoints import load_supernet
from supernets.elastic.active import use
from tests.docs.pages import Shell, blocks, surroundings
from tests.wheel import ROOT

PAGE = blocks(ROOT / "docs" / "bring-your-own-network.md")
INTRODUCTION = (ROOT / "docs" / "bring-your-own-network.md").read_text().split("\n## ", 1)[0]


def commands() -> list[list[str]]:
    """The arguments of every netwright command of the page."""
    lines = [line for block in PAGE if block.language == "sh" for line in block.text.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("netwright ")]


def test_a_plain_network_becomes_a_supernet_as_the_page_says(tmp_path: Path) -> None:
    (tmp_path / "mynet.py").write_text(INTRODUCTION.split("```python\n", 1)[1].split("```", 1)[0])
    torch.manual_seed(0)
    net = runpy.run_path(str(tmp_path / "mynet.py"))["network"]().eval()
    save_file(net.state_dict(), tmp_path / "weights.safetensors")
    with Shell(tmp_path, surroundings(Path(sys.executable).parent, OMP_NUM_THREADS="1")) as shell:
        said = shell.run(next(block.text for block in PAGE if block.heading.startswith("1.")))
    assert "0.width" in said and "what stays" in said and "imports/mine is a supernet" in said
    supernet = load_supernet(tmp_path / "imports" / "mine")
    x = torch.randn(2, 1, 32, 32)
    with torch.no_grad(), use(supernet.net.eval(), supernet.space.max()):
        torch.testing.assert_close(supernet.net(x), net(x), rtol=1e-4, atol=1e-5)


def test_five_commands_lead_to_a_measured_file() -> None:
    found = commands()
    last = next(place for place, words in enumerate(found) if words[0] == "export")
    assert last + 1 <= 6


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_the_commands_have_these_options(words: list[str]) -> None:
    command: click.Command = typer.main.get_command(app)
    context = click.Context(command)
    while isinstance(command, click.Group):
        name, found, words = command.resolve_command(context, words)
        assert found is not None
        command, context = found, click.Context(found, parent=context, info_name=name)
    command.make_context(context.info_name, words, parent=context.parent)
