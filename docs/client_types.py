"""Write the client's types from the service's OpenAPI document: ``make client-types``.

Answers become dataclasses (``netwright/client/http/models.py``), request bodies and the parameters of lists become
TypedDicts (``netwright/client/http/requests.py``). A test fails when either file is out of date.
"""

from __future__ import annotations

import keyword
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from service.app import create_app
from service.settings import Settings

FOLDER = Path(__file__).parents[1] / "netwright" / "client" / "http"
GENERATED = "written by `make client-types` from the service's OpenAPI document; do not edit."
WIDTH = 108
SCALARS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
RENAMED = {"job": "job_id", "front": "front_kind"}
"""Fields of answers whose names are needed for methods of the client's objects."""
OPTIONS = {
    "TrainingOptions": ("TrainingCreate", {"name", "priority"}),
    "ConversionOptions": ("ConversionCreate", {"name", "file"}),
    "PretrainedOptions": ("PretrainedCreate", {"name", "folder"}),
    "ExamineOptions": ("ConversionExamine", {"file"}),
    "EvaluateOptions": ("EvaluationCreate", set()),
    "MeasureOptions": ("MeasurementCreate", {"supernet", "table", "until"}),
    "TableOptions": ("TableRows", {"file", "latency"}),
    "SearchOptions": ("SearchCreate", {"supernet", "targets", "constraints", "budget"}),
    "ExtendOptions": ("SearchExtend", {"constraints"}),
    "ProfileOptions": ("ProfileCreate", {"supernet", "targets", "constraints"}),
    "ExportOptions": ("ExportCreate", set()),
    "FineTuneOptions": ("FineTuneCreate", set()),
}
"""Keyword arguments of the client's methods: a body without the fields that a method takes in another form."""
PAGING = {"page_size", "page_token"}

Schema = Mapping[str, Any]


def document() -> Schema:
    """The OpenAPI document of the service."""
    with tempfile.TemporaryDirectory() as home:
        return create_app(Settings(home=Path(home))).openapi()


def models(api: Schema) -> str:
    """The source of ``models.py``: a dataclass for every answer."""
    names = _reachable(api, (answer for operation in _operations(api) for answer in _answers(operation)))
    schemas = api["components"]["schemas"]
    lines = [
        f'"""What the service answers; {GENERATED}"""',
        "",
        "from __future__ import annotations",
        "",
        "from dataclasses import dataclass",
        "from dataclasses import field as field_",
        "from datetime import datetime",
        "from typing import Any, Literal",
        "",
        "Object = dict[str, Any]",
        '"""A JSON object whose fields depend on the kind of thing it describes."""',
    ]
    for name in names:
        if not name.startswith("Page_"):
            lines += ["", "", *_dataclass(name, schemas[name])]
    return _formatted(lines)


def requests(api: Schema) -> str:
    """The source of ``requests.py``: a TypedDict for every body, and for the parameters of every list."""
    operations = list(_operations(api))
    names = _reachable(api, (body for operation in operations for body in _bodies(operation)))
    schemas = api["components"]["schemas"]
    lines = [
        f'"""What the service can be asked; {GENERATED}"""',
        "",
        "from __future__ import annotations",
        "",
        "from collections.abc import Mapping, Sequence",
        "from typing import NotRequired, TypedDict",
        "",
        "Object = Mapping[str, object]",
        '"""A JSON object whose fields depend on the kind of thing it describes."""',
    ]
    for name in names:
        lines += ["", "", *_typed_dict(name, schemas[name])]
    for name, (source, omitted) in OPTIONS.items():
        schema = schemas[source]
        kept = {key: value for key, value in schema["properties"].items() if key not in omitted}
        lines += ["", "", *_typed_dict(name, {**schema, "properties": kept})]
    for operation in operations:
        if operation["operationId"].startswith("list_"):
            lines += ["", "", *_query(operation)]
    return _formatted(lines)


def _operations(api: Schema) -> Iterator[Schema]:
    for path in api["paths"].values():
        yield from path.values()


def _answers(operation: Schema) -> Iterator[Schema]:
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            yield answer.get("content", {}).get("application/json", {}).get("schema", {})


def _bodies(operation: Schema) -> Iterator[Schema]:
    yield operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})


def _reachable(api: Schema, roots: Iterator[Schema]) -> list[str]:
    """Names of the schemas that these refer to, directly or not."""
    found: set[str] = set()
    left = [name for root in roots for name in _references(root)]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += _references(api["components"]["schemas"][name])
    return sorted(found)


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        if "$ref" in schema:
            yield schema["$ref"].rsplit("/", 1)[1]
        for value in schema.values():
            yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)


def _type(schema: Schema, *, asked: bool) -> str:
    """A Python type; ``asked`` is whether it is of a request, where any sequence or mapping will do."""
    if "$ref" in schema:
        return str(schema["$ref"].rsplit("/", 1)[1])
    if "anyOf" in schema or "oneOf" in schema:
        parts = [_type(each, asked=asked) for each in schema.get("anyOf") or schema["oneOf"]]
        parts = [part for part in parts if not (part == "int" and "float" in parts)]
        return " | ".join(sorted(dict.fromkeys(parts), key=lambda part: part == "None"))
    if asked and ("enum" in schema or "const" in schema):
        return "str"
    if "enum" in schema or "const" in schema:
        choices = schema.get("enum") or [schema["const"]]
        return f"Literal[{', '.join(map(repr, choices))}]"
    if schema.get("type") == "array":
        inner = schema.get("items") or {}
        return f"{'Sequence' if asked else 'list'}[{_type(inner, asked=asked)}]"
    if schema.get("type") == "object" or "additionalProperties" in schema:
        values = schema.get("additionalProperties")
        if not isinstance(values, Mapping):
            return "Object"
        return f"{'Mapping' if asked else 'dict'}[str, {_type(values, asked=asked)}]"
    if schema.get("format") == "date-time" and not asked:
        return "datetime"
    return SCALARS.get(schema.get("type", ""), "object")


def _dataclass(name: str, schema: Schema) -> list[str]:
    lines = ["@dataclass(kw_only=True)", f"class {name}:", *_docstring(schema, name)]
    required = set(schema.get("required", ()))
    for key, value in schema.get("properties", {}).items():
        kind, settings = _type(value, asked=False), []
        if key not in required:
            default = value.get("default")
            if isinstance(default, list | dict) or (default is None and kind.startswith(("list", "dict"))):
                settings.append(f"default_factory={'list' if kind.startswith('list') else 'dict'}")
            else:
                settings.append(f"default={default!r}")
                kind = kind if default is not None or kind.endswith("None") else f"{kind} | None"
        attribute = RENAMED.get(key, key) if name.endswith("View") else key
        if attribute != key:
            settings.append(f"metadata={{'json': {key!r}}}")
        value_of = f" = field_({', '.join(settings)})" if settings else ""
        lines.append(f"    {attribute}: {kind}{value_of}")
        lines += _field_doc(value)
    return lines if len(lines) > 3 else [*lines, "    pass"]


def _typed_dict(name: str, schema: Schema) -> list[str]:
    required = set(schema.get("required", ()))
    rows = {}
    for key, value in schema.get("properties", {}).items():
        kind = _type(value, asked=True)
        if key not in required:
            kind = f"NotRequired[{kind if kind.endswith('None') else f'{kind} | None'}]"
        rows[key] = kind
    if any(keyword.iskeyword(key) for key in rows):
        items = ", ".join(f"{key!r}: {kind!r}" for key, kind in rows.items())
        return [f"{name} = TypedDict({name!r}, {{{items},}})"]
    lines = [f"class {name}(TypedDict):", *_docstring(schema, name)]
    for key, kind in rows.items():
        lines += [f"    {key}: {kind}", *_field_doc(schema["properties"][key])]
    return lines


def _query(operation: Schema) -> list[str]:
    words = operation["operationId"].removeprefix("list_").split("_")
    properties = {
        each["name"]: {**each["schema"], "description": each.get("description", "")}
        for each in operation.get("parameters", ())
        if each["in"] == "query" and each["name"] not in PAGING
    }
    name = "".join(word.title() for word in words) + "Query"
    return _typed_dict(
        name, {"properties": properties, "description": f"Parameters of {operation['operationId']}."}
    )


def _docstring(schema: Schema, name: str) -> list[str]:
    return [*_quoted(schema.get("description") or name), ""]


def _field_doc(schema: Schema) -> list[str]:
    return _quoted(schema["description"]) if schema.get("description") else []


def _quoted(text: str) -> list[str]:
    """A docstring in lines of at most ``WIDTH`` columns."""
    words = " ".join(text.split()).replace("\\", "\\\\")
    lines = textwrap.wrap(words, WIDTH - 10, break_long_words=False, break_on_hyphens=False)
    lines[0] = f'"""{lines[0]}'
    if len(lines) > 1 or words.endswith('"'):
        return [f"    {line}" for line in [*lines, '"""']]
    return [f'    {lines[0]}"""']


def _formatted(lines: list[str]) -> str:
    ruff = Path(sys.executable).parent / "ruff"
    command = [str(ruff), "format", "-"]
    done = subprocess.run(command, input="\n".join(lines), capture_output=True, text=True, check=True)
    return done.stdout


FILES = {"models.py": models, "requests.py": requests}


if __name__ == "__main__":
    found = document()
    for file, write in FILES.items():
        (FOLDER / file).write_text(write(found))
