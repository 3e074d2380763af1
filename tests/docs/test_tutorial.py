"""The tutorial, followed as it stands: in an empty folder, with a device that has nothing but the wheel and its extra.

The device reaches the service by the name of this machine, which is not a loopback name. What the page leaves to its
reader is put in place of its words in capitals: keys, a limit and ids as the commands before printed them. Where a busy
machine refuses latencies, the test does what the page says: it measures again, and extends a search without a front.
"""

from __future__ import annotations

import re
import shutil
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from netwright.processes import free_port
from supernets.export.metadata import read_metadata
from tests.docs.pages import STATUS, TRIES, Shell, await_ready, blocks, filled, surroundings
from tests.wheel import ROOT, build, environment

PAGE = ROOT / "docs" / "tutorial.md"
ON_THE_DEVICE = ("netwright agent", "python 02_use_the_file.py")
SHAPES = ("circle", "square", "triangle")
PHOTOS, SIDE = 40, 40
ENOUGH = 4


def draw(folder: Path) -> None:
    """Photos of shapes at random places and in random colours, half of them grey."""
    rng = np.random.default_rng(0)
    for shape in SHAPES:
        (folder / shape).mkdir(parents=True)
        for number in range(PHOTOS):
            image = Image.new("RGB", (SIDE, SIDE), tuple(rng.integers(0, 90, 3).tolist()))
            x, y, r = rng.integers(12, SIDE - 12), rng.integers(12, SIDE - 12), int(rng.integers(6, 11))
            paint = ImageDraw.Draw(image)
            colour = tuple(rng.integers(130, 256, 3).tolist())
            if shape == "triangle":
                paint.polygon([(x, y - r), (x - r, y + r), (x + r, y + r)], fill=colour)
            else:
                {"circle": paint.ellipse, "square": paint.rectangle}[shape](
                    (x - r, y - r, x + r, y + r), fill=colour
                )
            image.save(folder / shape / f"{number}.png")


def name_of_this_machine() -> str:
    name = socket.gethostname()
    if name == "localhost":
        pytest.skip("this machine has no name but localhost")
    try:
        socket.getaddrinfo(name, None, socket.AF_INET)
    except OSError:
        pytest.skip(f"the name of this machine, {name}, leads to no address")
    return name


def learn(words: dict[str, str], commands: str, said: str) -> None:
    """Take over keys, the limit and the id of the search from what the commands printed."""
    keys = re.findall(r"\bnw_[\w-]+", said)
    if "keys create" in commands:
        (words["KEY_OF_DEVICE" if "--scope agent" in commands else "KEY_OF_ME"],) = keys
    if "search profile" in commands:
        words["LIMIT"] = re.findall(r"latency_ms +board +ms +\S+ +(\S+)", said)[0]
    if "search run" in commands or "search extend" in commands:
        words["SEARCH"] = re.findall(r"\bsea_\w+", said)[0]
    for nearest in re.findall(r"latency_ms on board (\S+),\s+the limit is", said):
        words["LIMIT"] = f"{1.1 * float(nearest):.4g}"


def measured(shell: Shell, commands: str) -> str:
    """Measure until the command states that enough subnets have a latency."""
    for _ in range(TRIES):
        said = shell.attempt(commands)
        if any(int(count) >= ENOUGH for count in re.findall(r"measured (\d+) of", said)):
            return said
    raise AssertionError(f"fewer than {ENOUGH} latencies in each of {TRIES} runs:\n{said}")


def extended(shell: Shell, words: dict[str, str], commands: str, said: str) -> None:
    """Extend a search until it has a front; ``said`` is what the search before printed."""
    for _ in range(TRIES):
        if f"{STATUS} 3" not in said:
            break
        said = shell.attempt(filled(commands, words))
        learn(words, commands, said)
    assert STATUS not in said, said


@pytest.mark.timeout(1800)
def test_the_tutorial_leads_to_a_network_on_the_device(tmp_path: Path) -> None:
    host, port = name_of_this_machine(), str(free_port())
    here, device = tmp_path / "server", tmp_path / "device"
    here.mkdir()
    device.mkdir()
    draw(here / "imports" / "photos")
    programs = environment(tmp_path / "env", build(tmp_path / "wheel"), "agent", also=["pillow"])
    url = f"http://{host}:{port}"
    ours = surroundings(Path(sys.executable).parent, NETWRIGHT_PORT=port, NETWRIGHT_URL=url)
    # The page's address of all devices would open this machine to its network; its name is one that devices use.
    words = {"0.0.0.0": host, "SERVER:8000": f"{host}:{port}"}
    last = said = ""
    with (
        Shell(here, ours) as on_server,
        Shell(device, surroundings(programs, XDG_CACHE_HOME=str(device), HOME=str(device))) as on_device,
    ):
        for block in blocks(PAGE):
            if block.language == "toml":
                (here / "family.toml").write_text(block.text)
                continue
            commands = filled(block.text, words)
            if commands.startswith(ON_THE_DEVICE):
                if "subnet.onnx" in commands:
                    copy_to(device, here)
                last = on_device.run(commands)
                continue
            if "search extend" in commands:
                extended(on_server, words, block.text, said)
                continue
            run = {"targets measure": measured, "search run": Shell.attempt}
            how = next((run[name] for name in run if name in commands), Shell.run)
            said = how(on_server, commands)
            learn(words, block.text, said)
            if "serve" in commands:
                await_ready(url)
    assert last.split()[-1] in SHAPES
    assert read_metadata(here / "subnet.onnx")["licence"] == "CC-BY-4.0"
    assert (here / "photos.png").read_bytes().startswith(b"\x89PNG")
    columns = (here / "front.csv").read_text().splitlines()[0].split(",")
    assert {"subnet", "latency_ms", "accuracy"} <= set(columns)


def copy_to(device: Path, here: Path) -> None:
    """The files that the page says to copy."""
    shutil.copy(here / "subnet.onnx", device)
    shutil.copy(ROOT / "examples" / "02_use_the_file.py", device)
    shutil.copytree(here / "imports", device / "imports")
