"""Requests that a server recommends, as the commands that make them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from netwright.errors import Action

Body = Mapping[str, Any]
Words = Callable[[re.Match[str], Body], list[str]]


def _options(body: Body, *names: str) -> list[str]:
    return [word for name in names if body.get(name) is not None for word in (f"--{name}", str(body[name]))]


def _more_rows(target: str, body: Body) -> list[str]:
    if "table" in body:
        named = ["--name", target, "--table", "FILE", "--latency", "COLUMN"]
        return ["targets", "import", *_options(body, "supernet"), *named]
    extra = [word for name in body.get("metrics") or () for word in ("--metric", name)]
    return ["targets", "measure", target, *_options(body, "supernet", "count"), *extra]


COMMANDS: dict[str, Words] = {
    r"/v1/predictors": lambda _, body: ["predictors", "fit", *_options(body, "supernet", "metric", "target")],
    r"/v1/supernets/([^/]+)/evaluations": lambda at, body: [
        *("supernets", "evaluate", at[1]),
        *_options(body, "count"),
    ],
    r"/v1/targets/([^/]+)/measurements": lambda at, body: _more_rows(at[1], body),
    r"/v1/targets/([^/:]+):refresh": lambda at, _: ["targets", "refresh", at[1]],
    r"/v1/jobs/([^/:]+):resume": lambda at, _: ["jobs", "resume", at[1]],
    r"/v1/subnets/([^/]+)/exports": lambda at, _: ["export", at[1]],
    r"/v1/supernets": lambda _, __: ["supernets", "add"],
    r"/v1/targets": lambda _, __: ["targets", "add"],
    r"/v1/searches": lambda _, __: ["search", "run"],
}
LISTS = {name: name for name in ("jobs", "predictors", "supernets", "targets")} | {"searches": "search"}
"""Collections of the API, and the groups of commands whose ``list`` shows them."""
ROUTE = re.compile(r"\b(GET|POST) (/v1/[\w/:.-]*\w)")


def as_command(action: Action) -> str:
    """``POST /v1/jobs/job_1:resume`` as ``netwright jobs resume job_1``; other requests as they are."""
    if action.method == "POST":
        for pattern, words in COMMANDS.items():
            found = re.fullmatch(pattern, action.path)
            if found is not None:
                return shlex.join(["netwright", *words(found, action.body)])
    return str(action)


def in_commands(text: str) -> str:
    """A sentence of the server with its routes as commands: it speaks to all clients, and so of routes."""
    return ROUTE.sub(_command_of, text)


def _command_of(found: re.Match[str]) -> str:
    method, path = found.groups()
    collection = path.removeprefix("/v1/")
    if method == "GET":
        known = {"fronts": "netwright front best"}
        known |= {name: f"netwright {group} list" for name, group in LISTS.items()}
        return f"`{known[collection]}`" if collection in known else found[0]
    command = as_command(Action(method, path))
    return found[0] if command == found[0] else f"`{command}`"
