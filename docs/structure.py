"""Figures of the code's structure: sizes, imports, types. ``python docs/structure.py [--root DIR] [--json]``.

The pages in ``docs/decisions`` that compare the structure before and after a change were written from this
script; ``--root`` points it at another checkout. It reads the files as text and imports nothing of the project.
"""

from __future__ import annotations

import argparse
import ast
import json
import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

PACKAGES = ("supernets", "predictors", "search", "service", "netwright")


@dataclass(frozen=True, slots=True)
class Figures:
    """The structure of one checkout; sizes are in lines, ``cycles`` lists modules that import each other."""

    files: int
    lines: int
    file_median: float
    file_p90: float
    file_max: int
    files_over_400: int
    most_files_in_a_folder: int
    functions: int
    function_median: float
    function_p90: float
    function_max: int
    functions_over_5_arguments: int
    return_types: float
    any: int
    any_by_package: dict[str, int]
    string_subscripts: int
    string_subscripts_by_package: dict[str, int]
    json_aliases: int
    cycles: list[list[str]]
    folder_cycles: list[list[str]]
    test_lines: int


def main(arguments: list[str] | None = None) -> int:
    """Print the figures of a checkout as a table or as JSON."""
    parser = argparse.ArgumentParser(description="Figures of the code's structure.")
    parser.add_argument("--root", type=Path, default=Path(__file__).parents[1], help="a checkout")
    parser.add_argument("--json", action="store_true", help="as JSON")
    given = parser.parse_args(arguments)
    figures = asdict(measure(given.root))
    if given.json:
        sys.stdout.write(json.dumps(figures, indent=1) + "\n")
        return 0
    for name, value in figures.items():
        sys.stdout.write(f"{name.replace('_', ' '):32} {value}\n")
    return 0


def measure(root: Path) -> Figures:
    """Read every product file below ``root``."""
    files = {path.relative_to(root): path for package in PACKAGES for path in (root / package).rglob("*.py")}
    sizes = [len(path.read_text().splitlines()) for path in files.values()]
    trees = {name: ast.parse(path.read_text()) for name, path in files.items()}
    functions = [node for tree in trees.values() for node in _functions(tree)]
    lengths = [(node.end_lineno or node.lineno) - node.lineno + 1 for node in functions]
    any_counts, subscripts = Counter[str](), Counter[str]()
    aliases = 0
    for name, tree in trees.items():
        any_counts[name.parts[0]] += sum(_is_any(node) for node in ast.walk(tree))
        subscripts[name.parts[0]] += sum(_is_string_subscript(node) for node in ast.walk(tree))
        aliases += sum(_is_json_alias(node) for node in tree.body)
    return Figures(
        files=len(files),
        lines=sum(sizes),
        file_median=statistics.median(sizes),
        file_p90=_quantile(sizes, 0.9),
        file_max=max(sizes),
        files_over_400=sum(size > 400 for size in sizes),
        most_files_in_a_folder=max(Counter(name.parent for name in files).values()),
        functions=len(functions),
        function_median=statistics.median(lengths),
        function_p90=_quantile(lengths, 0.9),
        function_max=max(lengths),
        functions_over_5_arguments=sum(_arguments(node) > 5 for node in functions),
        return_types=round(sum(node.returns is not None for node in functions) / len(functions), 4),
        any=any_counts.total(),
        any_by_package=dict(any_counts),
        string_subscripts=subscripts.total(),
        string_subscripts_by_package=dict(subscripts),
        json_aliases=aliases,
        cycles=cycles(import_graph(root)),
        folder_cycles=cycles(folder_graph(import_graph(root), root)),
        test_lines=sum(len(path.read_text().splitlines()) for path in (root / "tests").rglob("*.py")),
    )


def import_graph(root: Path) -> dict[str, set[str]]:
    """Which module imports which, inside the project: at the top, for types only, and inside functions alike."""
    modules = {
        _module(path.relative_to(root)): path
        for package in PACKAGES
        for path in (root / package).rglob("*.py")
    }
    graph: dict[str, set[str]] = defaultdict(set)
    for module, path in modules.items():
        for target in _imported(ast.parse(path.read_text()), modules.keys()):
            if target != module:
                graph[module].add(target)
    return graph


def folder_graph(graph: dict[str, set[str]], root: Path) -> dict[str, set[str]]:
    """The same between folders; a module stands for its folder, except the modules at the root of a package."""

    def folder(module: str) -> str:
        is_package = (root / module.replace(".", "/")).is_dir()
        return module if is_package or module.count(".") < 2 else module.rpartition(".")[0]

    folders: dict[str, set[str]] = defaultdict(set)
    for module, targets in graph.items():
        folders[folder(module)] |= {folder(target) for target in targets} - {folder(module)}
    return folders


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The strongly connected components with more than one module (Tarjan, 1972), sorted."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for after in sorted(graph.get(node, ())):
            if after not in index:
                visit(after)
                low[node] = min(low[node], low[after])
            elif after in stack:
                low[node] = min(low[node], index[after])
        if low[node] == index[node]:
            component = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(component) > 1:
                found.append(sorted(component))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return sorted(found)


def _module(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(tree: ast.AST, modules: Iterable[str]) -> Iterator[str]:
    known = set(modules)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                if inner in known:
                    yield inner
                elif node.module in known:
                    yield node.module


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _arguments(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    named = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return sum(argument.arg not in ("self", "cls") for argument in named)


def _is_any(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "Any"


def _is_string_subscript(node: ast.AST) -> bool:
    if not (isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant)):
        return False
    literal = isinstance(node.value, ast.Name) and node.value.id == "Literal"
    return isinstance(node.slice.value, str) and not literal


def _is_json_alias(node: ast.AST) -> bool:
    """``Json = dict[str, Any]`` and the like, at the top of a module."""
    if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Subscript):
        return False
    return any(_is_any(inner) for inner in ast.walk(node.value))


def _quantile(values: list[int], share: float) -> float:
    ordered = sorted(values)
    return float(ordered[min(int(share * len(ordered)), len(ordered) - 1)])


if __name__ == "__main__":
    sys.exit(main())
