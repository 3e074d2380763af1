"""Write the reference pages that come from code: ``python docs/generate.py`` (``make docs``).

A test holds the pages against what this file would write. ``python docs/generate.py demo-out`` also puts what a
demo printed, and its picture, into README.md.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from typer.core import TyperGroup
from typer.main import get_command

from netwright.cli import app
from service.settings import Settings

DOCS = Path(__file__).parent
BEGIN, END = "<!-- demo begins -->", "<!-- demo ends -->"
GENERATED = "<!-- written by docs/generate.py; edit the code instead -->"


def settings_page() -> str:
    """``settings.md`` from ``service/settings.py``."""
    lines = [
        "# Settings",
        "",
        GENERATED,
        "",
        "Service, worker and migration read these environment variables and nothing else. They must agree on the",
        "database, the artifacts and the home folder.",
        "",
    ]
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = "empty" if default in ("", None, []) else f"`{_short(default)}`"
        lines += [f"## `NETWRIGHT_{name.upper()}`", "", f"{field.description} Default: {shown}.", ""]
    lines += [
        "## On the client's side",
        "",
        "`NETWRIGHT_URL` and `NETWRIGHT_KEY` tell the command line which server to talk to.",
        "",
    ]
    return "\n".join(lines)


def _short(value: Any) -> str:
    """A default without the place where this checkout happens to lie."""
    if isinstance(value, Path):
        root = DOCS.parent.resolve()
        return str(value.relative_to(root)) if value.is_relative_to(root) else str(value)
    return str(value)


def commands_page() -> str:
    """``command-line.md`` from ``netwright/cli.py``."""
    command = get_command(app)
    assert isinstance(command, TyperGroup)
    lines = [
        "# Command line",
        "",
        GENERATED,
        "",
        "Options before the command say which server is meant: `netwright --url http://host:8000 targets list`.",
        "Commands print tables for people, and with `--json` one JSON document for scripts. Long work shows a progress",
        "bar with the time left on stderr; Ctrl-C leaves it, the job goes on. Where the id of a supernet or target is",
        "expected, its name does as well.",
        "",
        "| exit status | means |",
        "|---|---|",
        "| 0 | done |",
        "| 1 | the server refused; the message states what was got and what is allowed |",
        "| 2 | wrong usage |",
        "| 3 | the search is over, and no subnet meets the limits |",
        "| 4 | the job failed |",
        "| 5 | no answer from the server, or not in time |",
        "",
    ]
    for name, sub in sorted(command.commands.items()):
        if isinstance(sub, TyperGroup):
            lines += [f"## `netwright {name}`", "", str(sub.help), ""]
            for inner, leaf in sorted(sub.commands.items()):
                lines += _command(f"netwright {name} {inner}", leaf, "###")
        else:
            lines += _command(f"netwright {name}", sub, "##")
    return "\n".join(lines)


def _command(path: str, command: Any, heading: str) -> list[str]:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    usage = " ".join([path, *[p.name.upper() if p.required else f"[{p.name.upper()}]" for p in arguments]])
    lines = [f"{heading} `{usage}`", "", str(command.help), ""]
    rows = [_parameter(p) for p in command.params if p.name != "help"]
    if rows:
        lines += ["| | |", "|---|---|", *rows, ""]
    return lines


def _parameter(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        shown = parameter.name.upper()
    else:
        shown = ", ".join([*parameter.opts, *parameter.secondary_opts])
    words = (parameter.help or "").replace("|", "\\|")
    default = parameter.default
    if default not in (None, False, True, "", ()) and not callable(default) and not parameter.required:
        words = (
            f"{words} Default: `{default:g}`."
            if isinstance(default, float)
            else f"{words} Default: `{default}`."
        )
    required = " Required." if parameter.required and parameter.param_type_name == "option" else ""
    return f"| `{shown}` | {words.strip()}{required} |"


PAGES = {"settings.md": settings_page, "command-line.md": commands_page}


def quote_demo(folder: Path) -> None:
    """Put the output and the picture of a demo into README.md."""
    readme = DOCS.parent / "README.md"
    lines = [line.rstrip() for line in (folder / "demo.txt").read_text().splitlines()]
    block = "\n".join([BEGIN, "", "```", *filter(None, lines), "```", "", END])
    before, _, rest = readme.read_text().partition(BEGIN)
    readme.write_text(before + block + rest.partition(END)[2])
    shutil.copyfile(folder / "front.png", DOCS / "images" / "front-digits.png")


if __name__ == "__main__":
    for page, text in PAGES.items():
        (DOCS / page).write_text(text())
    for demo in sys.argv[1:]:
        quote_demo(Path(demo))
