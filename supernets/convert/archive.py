"""``.pt2`` files of others: examined as data, and loaded only where nothing in them can run.

``torch.export.load`` unpickles what a file declares as pickled, evaluates strings as expressions and looks operators up
by dotted names. So a file is read as a zip of JSON and raw tensors first; what is not known is refused, and only a copy
without example inputs and without foreign notes is passed to torch.
"""

from __future__ import annotations

import ast
import io
import json
import re
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram

from supernets.errors import ConvertError

MOST_BYTES = 8 << 30
"""The most bytes of all entries of an archive, unpacked."""
MOST_JSON = 256 << 20
MOST_ENTRIES = 100_000
FUNCTIONS = {
    "Symbol", "Integer", "Rational", "Add", "Mul", "FloorDiv", "ModularIndexing", "Mod", "PythonMod", "CleanDiv",
    "CeilDiv", "Max", "Min", "Eq", "Ne", "And", "Or", "Not", "IntTrueDiv", "FloatTrueDiv", "ToFloat", "TruncToInt",
    "CeilToInt", "FloorToInt",
}  # fmt: skip
"""What expressions of sizes may call, next to symbols such as ``s0``."""
CONSTANTS = {"int_oo", "oo", "true", "false"}
ASSUMPTIONS = {"positive", "integer", "nonnegative", "real", "negative", "zero"}
LONGEST = 400
SYMBOL = re.compile(r"[suz][0-9]{1,9}|zf[0-9]{1,9}")
TARGET = re.compile(r"torch\.ops\.aten\.[a-z_0-9]+(\.[A-Za-z_0-9]+)?|_operator\.[a-z]+|torch\.sym_[a-z]+")
MODEL, WEIGHTS = re.compile(r"models/[^/]+\.json"), re.compile(r"data/(weights|constants)/[^/]+_config\.json")
EXAMPLES = re.compile(r"data/sample_inputs/[^/]+\.pt")
KEPT_NOTES = ("stack_trace", "nn_module_stack")


def check_archive(path: Path) -> None:
    """Refuse a file that :func:`read_program` would refuse before torch sees it.

    Raises:
        ConvertError: it is no such file, is too large, or holds anything that could run.
    """
    _examined(path)


def read_program(path: Path) -> ExportedProgram:
    """The program of a ``.pt2`` file; its example inputs are left out.

    Raises:
        ConvertError: it is no such file, is too large, or holds anything that could run.
    """
    clean = _examined(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.export.load(io.BytesIO(clean))
    except Exception as error:  # torch raises many types
        raise ConvertError(
            f"{path.name!r} cannot be loaded: {str(error)[:300]}; a network that returns objects of a library must be "
            "converted where the library is: netwright convert module:function"
        ) from error


def _examined(path: Path) -> bytes:
    try:
        return _cleaned(path)
    except (
        zipfile.BadZipFile,
        KeyError,
        ValueError,
        OSError,
        RecursionError,
        TypeError,
        AttributeError,
    ) as error:
        if isinstance(error, ConvertError):
            raise
        raise ConvertError(f"{path.name!r} must be a file of torch.export.save: {error}") from error


def _cleaned(path: Path) -> bytes:
    """The archive without what is not needed, everything in it examined."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as target:
        entries = source.infolist()
        if len(entries) > MOST_ENTRIES or sum(entry.file_size for entry in entries) > MOST_BYTES:
            raise ConvertError(f"{path.name!r} must unpack to at most {MOST_BYTES >> 30} GiB")
        if len({entry.filename for entry in entries}) != len(entries):
            raise ConvertError(f"{path.name!r} has two entries of one name")
        models = 0
        for entry in entries:
            name = entry.filename.partition("/")[2]
            if EXAMPLES.fullmatch(name):
                target.writestr(entry.filename, b"")
                continue
            content = source.read(entry)
            if MODEL.fullmatch(name):
                models += 1
                content = _model(_json(content, name))
            elif WEIGHTS.fullmatch(name):
                _check_weights(_json(content, name))
            elif not _plain(name):
                raise ConvertError(f"{path.name!r} must hold a graph and tensors only, got {name[:80]!r}")
            target.writestr(entry.filename, content)
        if models != 1:
            raise ConvertError(f"{path.name!r} must hold one network, got {models}")
    return buffer.getvalue()


def _plain(name: str) -> bool:
    """Raw tensors and the versions of the format."""
    known = (
        "archive_format",
        "archive_version",
        "byteorder",
        ".data/version",
        ".data/serialization_id",
        "version",
    )
    return name in known or re.fullmatch(r"data/(weights|constants)/(weight|tensor)_[0-9]+", name) is not None


def _json(content: bytes, name: str) -> object:
    if len(content) > MOST_JSON:
        raise ConvertError(f"{name!r} must have at most {MOST_JSON >> 20} MiB, got {len(content) >> 20}")
    return json.loads(content)


def _check_weights(config: Any) -> None:
    for key, each in config["config"].items():
        if each.get("use_pickle") is not False:
            raise ConvertError(f"tensors must be stored raw, {str(key)[:80]!r} is pickled")


def _model(program: Any) -> bytes:
    """The graph as JSON again: every operator known by name, every expression one of sizes, foreign notes left out."""
    graph = program["graph_module"]["graph"]
    for node in graph["nodes"]:
        target = node["target"]
        if not isinstance(target, str) or not TARGET.fullmatch(target):
            raise ConvertError(
                f"operators must be those of torch (torch.ops.aten), got {str(target)[:120]!r}"
            )
        node["metadata"] = {k: v for k, v in node.get("metadata", {}).items() if k in KEPT_NOTES}
        for argument in node.get("inputs", ()):
            if not {"as_graph", "as_custom_obj", "as_operator"}.isdisjoint(argument.get("arg", {})):
                raise ConvertError(f"{target} must read tensors and numbers, not a graph or an object")
    for text in _expressions(program):
        _check_expression(text)
    if program.get("guards_code"):
        program["guards_code"] = []
    return json.dumps(program).encode()


def _expressions(value: object) -> Iterator[str]:
    """Every string that torch evaluates: sizes, and the names of symbols with bounds."""
    if isinstance(value, dict):
        for key, each in value.items():
            if key == "expr_str" and isinstance(each, str):
                yield each
            elif key == "range_constraints" and isinstance(each, dict):
                yield from each
            yield from _expressions(each)
    elif isinstance(value, list):
        for each in value:
            yield from _expressions(each)


def _check_expression(text: str) -> None:
    """Refuse anything but arithmetic of integers and symbols: torch gives it to ``eval``."""
    try:
        known = len(text) <= LONGEST and _known(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        known = False
    if not known:
        raise ConvertError(f"sizes must be expressions of the batch, got {text[:120]!r}")


def _known(node: ast.expr) -> bool:
    if isinstance(node, ast.Name):
        return node.id in CONSTANTS or SYMBOL.fullmatch(node.id) is not None
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int | float) and abs(node.value) < 2**63
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.USub) and _known(node.operand)
    if isinstance(node, ast.BinOp):
        sums = isinstance(node.op, ast.Add | ast.Sub | ast.Mult | ast.Div | ast.FloorDiv | ast.Mod)
        return sums and _known(node.left) and _known(node.right)
    if isinstance(node, ast.Compare):
        return all(_known(each) for each in (node.left, *node.comparators))
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and _known_call(node, node.func.id)


def _known_call(node: ast.Call, name: str) -> bool:
    if name not in FUNCTIONS:
        return False
    assumed = all(each.arg in ASSUMPTIONS and isinstance(each.value, ast.Constant) for each in node.keywords)
    if name != "Symbol":
        return not node.keywords and all(_known(each) for each in node.args)
    (first,) = node.args if len(node.args) == 1 else (None,)
    named = isinstance(first, ast.Constant) and isinstance(first.value, str)
    return (
        assumed
        and named
        and isinstance(first, ast.Constant)
        and SYMBOL.fullmatch(str(first.value)) is not None
    )
