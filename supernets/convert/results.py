"""What a traced network returns: the structure of its outputs, and the one that quality is computed from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from supernets.errors import ConvertError
from supernets.traced.graph import Node, Ref, Result, named_results

if TYPE_CHECKING:
    from torch.utils._pytree import TreeSpec


def quality_of(result: Result, nodes: Mapping[str, Node], output: str | None) -> str:
    """The name of the one output that counts."""
    found = list(named_results(result))
    floats = [
        (name, path)
        for name, path in found
        if name in nodes and nodes[name].outputs[0].dtype.startswith("float")
    ]
    if not found:
        raise ConvertError("the network must return a tensor that quality is computed from, it returns none")
    if output is not None:
        chosen = [name for name, path in found if path == output]
        if not chosen:
            raise ConvertError(f"output must be one of {[path for _, path in found]}, got {output!r}")
        return chosen[0]
    if len(floats) == 1:
        return floats[0][0]
    if logits := [name for name, path in floats if path == "logits"]:
        return logits[0]
    raise ConvertError(
        f"the network returns {len(floats)} tensors {[path for _, path in floats]}; name the one that quality is "
        "computed from: output=..."
    )


def structure_of(spec: TreeSpec, values: Iterator[object]) -> Result:
    """Nested lists and dicts of the outputs."""
    if spec.is_leaf():
        value = next(values)
        return value if isinstance(value, Ref) else None
    children = [structure_of(child, values) for child in spec.children()]
    names = _names_of(spec)
    if names is not None and len(names) == len(children):
        return dict(zip(names, children, strict=True))
    return list(children)


def _names_of(spec: TreeSpec) -> list[str] | None:
    """Field names of a dict, a named tuple or a dataclass of outputs."""
    context = spec.context
    if isinstance(context, type) and hasattr(context, "_fields"):
        return list(context._fields)
    if isinstance(context, list | tuple) and context and isinstance(context[0], list):
        context = context[0]
    if isinstance(context, list | tuple) and all(isinstance(each, str) for each in context) and context:
        return list(context)
    return None
