"""Which files a reader opens to follow a request: ``python docs/reading.py [--root DIR] MODULE:NAME …``.

Starting from the named functions, every name that leads to a definition of the same package is followed: calls,
base classes, annotations, attributes of imported modules. A string ``"module:name"`` is followed too and counted,
since an editor cannot. Without names, the path of one search is shown: from its route to the stored front.

The files are shown in three groups: the feature of the first name, other features that it uses, and what every
feature stands on (tables and sessions, steps and retries of jobs, errors, settings), which is read once for all.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SEARCH = ("service.search.routes:create_search", "service.search.job:run")
INFRASTRUCTURE = ("db", "http", "runtime")
"""Folders that every feature stands on; files at the root of the package belong to them."""
STRING = re.compile(r"^[a-z_]+(\.[a-z_0-9]+)+:[A-Za-z_]\w*$")


@dataclass
class Module:
    """The top level of one file: what it defines, and what it imports under which name."""

    definitions: dict[str, list[ast.AST]] = field(default_factory=dict)
    imports: dict[str, tuple[str, str | None]] = field(default_factory=dict)


class Reader:
    """Follows names from definition to definition inside ``package``."""

    def __init__(self, root: Path, package: str) -> None:
        self.modules: dict[str, Module] = {}
        self.opened: set[str] = set()
        self.strings: set[str] = set()
        self._visited: set[tuple[str, str]] = set()
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            self.modules[name] = _read(ast.parse(path.read_text()))

    def follow(self, start: str) -> None:
        """Open everything that ``module:name`` leads to."""
        module, _, name = start.partition(":")
        if name not in self.modules[module].definitions:
            raise SystemExit(
                f"{module} defines no {name!r}; it has {', '.join(self.modules[module].definitions)}"
            )
        pending = [(module, name)]
        while pending:
            place = pending.pop()
            if place in self._visited:
                continue
            self._visited.add(place)
            self.opened.add(place[0])
            for node in self.modules[place[0]].definitions.get(place[1], ()):
                pending += self._led_to(place[0], node)

    def _led_to(self, module: str, node: ast.AST) -> Iterator[tuple[str, str]]:
        known = self.modules[module]
        local = {**known.imports, **_read(node, inside=True).imports}
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name):
                if inner.id in known.definitions:
                    yield module, inner.id
                elif inner.id in local:
                    yield from self._imported(*local[inner.id])
            elif (
                isinstance(inner, ast.Attribute)
                and isinstance(inner.value, ast.Name)
                and inner.value.id in local
            ):
                source, name = local[inner.value.id]
                whole = source if name is None else f"{source}.{name}"
                if whole in self.modules:
                    yield from self._imported(whole, inner.attr)
            elif (
                isinstance(inner, ast.Constant) and isinstance(inner.value, str) and STRING.match(inner.value)
            ):
                source, _, name = inner.value.partition(":")
                if source in self.modules:
                    self.strings.add(inner.value)
                    yield source, name

    def _imported(self, source: str, name: str | None) -> Iterator[tuple[str, str]]:
        module = self.modules.get(source)
        if module is None or name is None:
            return
        if name in module.definitions:
            yield source, name
        elif name in module.imports:
            yield from self._imported(*module.imports[name])


def _read(tree: ast.AST, *, inside: bool = False) -> Module:
    found = Module()
    for node in ast.walk(tree) if inside else getattr(tree, "body", []):
        found.imports |= dict(_imports(node))
        for name in _defined(node):
            found.definitions.setdefault(name, []).append(node)
    return found


def _defined(node: ast.AST) -> list[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Assign(targets=targets):
            return [target.id for target in targets if isinstance(target, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
        case _:
            return []


def _imports(node: ast.AST) -> Iterator[tuple[str, tuple[str, str | None]]]:
    match node:
        case ast.ImportFrom(module=str(source), names=names):
            yield from ((alias.asname or alias.name, (source, alias.name)) for alias in names)
        case ast.Import(names=names):
            yield from ((alias.asname or alias.name, (alias.name, None)) for alias in names)
        case ast.If():  # imports for types only
            for inner in node.body:
                yield from _imports(inner)
        case _:
            return


def main(arguments: list[str] | None = None) -> int:
    """Print the files, and the strings that had to be followed."""
    parser = argparse.ArgumentParser(description="Which files a reader opens to follow a request.")
    parser.add_argument("names", nargs="*", default=SEARCH, help="module:name to start from")
    parser.add_argument("--root", type=Path, default=Path(__file__).parents[1], help="a checkout")
    given = parser.parse_args(arguments)
    reader = Reader(given.root, "service")
    for name in given.names:
        reader.follow(name)
    for group, modules in groups(reader.opened, given.names[0].split(".")[1]).items():
        sys.stdout.write(f"{group}: {len(modules)} files\n")
        sys.stdout.writelines(f"  {module.replace('.', '/')}.py\n" for module in modules)
    sys.stdout.write(f"{len(reader.opened)} files\nstrings followed: {sorted(reader.strings)}\n")
    return 0


def groups(opened: set[str], feature: str) -> dict[str, list[str]]:
    """The modules of the feature, of other features, and of what every feature stands on; each sorted."""
    found: dict[str, list[str]] = {"the feature": [], "other features": [], "infrastructure": []}
    for module in sorted(opened):
        parts = module.split(".")
        if parts[1] == feature and len(parts) > 2:
            found["the feature"].append(module)
        elif len(parts) == 2 or parts[1] in INFRASTRUCTURE:
            found["infrastructure"].append(module)
        else:
            found["other features"].append(module)
    return found


if __name__ == "__main__":
    sys.exit(main())
