"""What is removed at 30 % of every axis: ``python -m benchmarks.any_network_removed --networks FILE --json OUT``.

FILE is a Python file with ``SUITE``: networks with ``name``, ``build()``, ``inputs(batch)`` (keyword arguments of
``forward``), ``out(result)`` (the tensor that counts) and ``heads`` (modules whose output stays). Every axis that
Netwright calls exact keeps at most 70 % of its channels. Torch-Pruning is the other column where it is installed
(``pip install --no-deps torch-pruning``, no dependency of Netwright): with the head counts that it asks for and the
sizes of heads corrected afterwards, and again without the groups that touch a LayerNorm or GroupNorm. A smaller network
is compared with the original whose missing parameters are zero; the difference is relative to the largest output.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import importlib.util
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from supernets.checkpoints import write_bytes
from supernets.convert import convert
from supernets.convert.check import relative
from supernets.extract import extract

RATIO = 0.3
WIDTHS = (*(k / 100 for k in range(45, 71)), 1.0)
EXACT = 1e-4
SEED = 1


def ours(net: Any) -> nn.Module:
    """The network with at most 70 % of the channels of every exact axis."""
    torch.manual_seed(SEED)
    found = convert(net.build(), net.inputs(2), widths=WIDTHS, multiple=1)
    choices = dict(found.family.space().max().as_dict())
    for axis in found.axes:
        whole = max(axis.choices.values())
        fitting = [choice for choice, kept in axis.choices.items() if kept <= (1 - RATIO) * whole]
        if axis.exact and fitting:
            choices[axis.name] = max(fitting, key=lambda choice: axis.choices[choice])
    return extract(found.net, found.family.space().arch(choices), None)


def theirs(net: Any, tool: ModuleType, *, statistics: bool) -> nn.Module:
    """The network that Torch-Pruning makes; without ``statistics`` no group that touches a LayerNorm."""
    torch.manual_seed(SEED)
    model, inputs = net.build(), net.inputs(2)
    modules = dict(model.named_modules())
    stay = [modules[name] for name in net.heads if name in modules]
    heads = _heads(model)
    if not statistics:
        graph = tool.DependencyGraph().build_dependency(model, inputs, output_transform=net.out)
        kinds = [tool.ops.TORCH_CONV, tool.ops.TORCH_LINEAR]
        for group in graph.get_all_groups(ignored_layers=stay, root_module_types=kinds):
            if any(isinstance(each.target.module, nn.LayerNorm | nn.GroupNorm) for each, _ in group):
                stay.append(group[0].dep.target.module)
    pruner = tool.pruner.BasePruner(
        model, inputs, importance=tool.importance.MagnitudeImportance(p=2), pruning_ratio=RATIO,
        ignored_layers=stay, num_heads=heads, prune_num_heads=bool(heads), head_pruning_ratio=RATIO,
        output_transform=net.out,
    )  # fmt: skip
    pruner.step()
    for module in model.modules():
        for layer in [e for e in module.children() if e in pruner.num_heads and isinstance(e, nn.Linear)]:
            module.num_attention_heads = pruner.num_heads[layer]
            module.head_dim = module.attention_head_size = layer.out_features // pruner.num_heads[layer]
            module.all_head_size = layer.out_features
    return model


def _heads(model: nn.Module) -> dict[nn.Module, int]:
    """Linear layers that make heads, with their number, where a module states it."""
    found: dict[nn.Module, int] = {}
    for module in model.modules():
        count = getattr(module, "num_attention_heads", None) or getattr(module, "num_heads", None)
        for name in ("query", "key", "value", "q_proj", "k_proj", "v_proj", "c_attn"):
            layer = getattr(module, name, None)
            if isinstance(count, int) and isinstance(layer, nn.Module):
                found[layer] = count
    return found


def compared(net: Any, make: Callable[[Any], nn.Module]) -> dict[str, object]:
    """The share of the parameters that is gone and the difference, or why there is none."""
    original = net.build()
    try:
        smaller = make(net)
        torch.manual_seed(SEED)
        got = _output(net, smaller)
    except Exception as error:  # what a tool raises is its result
        return {"failed": f"{type(error).__name__}: {str(error).splitlines()[0][:120]}"}
    own = dict(smaller.named_parameters())
    masked = zeroed(original, own)
    if masked is None:
        return {"failed": "its parameters are no part of the original's"}
    left = sum(each.numel() for each in own.values())
    return {
        "removed": 1 - left / sum(each.numel() for each in original.parameters()),
        "difference": relative(got, _output(net, masked)),
    }


@torch.no_grad()
def _output(net: Any, model: nn.Module) -> Tensor:
    torch.manual_seed(SEED)
    found: Tensor = net.out(model.eval()(**net.inputs(2)))
    return found


@torch.no_grad()
def zeroed(original: nn.Module, own: Mapping[str, Tensor]) -> nn.Module | None:
    """The original with zeros where ``own`` has no parameters; they are found by their values, all different."""
    masked = copy.deepcopy(original)
    for name, parameter in masked.named_parameters():
        smaller = own.get(name)
        keep = None if smaller is None else _kept(parameter, smaller)
        if keep is None:
            return None
        parameter.mul_(keep)
    return masked


def _kept(before: Tensor, after: Tensor) -> Tensor | None:
    values, order = torch.sort(before.flatten())
    place = torch.searchsorted(values, after.flatten().contiguous()).clamp(max=len(values) - 1)
    if not torch.equal(values[place], after.flatten()):
        return None
    keep = torch.zeros(before.numel())
    keep[order[place]] = 1
    return keep.reshape(before.shape)


def table(figures: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """The shares as Markdown: the share where the result is exact, else what is wrong."""
    columns = list(next(iter(figures.values())))
    lines = [f"| network | {' | '.join(columns)} |", "|---|" + "---|" * len(columns)]
    for name, row in figures.items():
        lines.append(f"| {name} | {' | '.join(_cell(row[column]) for column in columns)} |")
    return "\n".join(lines)


def _cell(entry: Mapping[str, Any]) -> str:
    if "failed" in entry:
        return str(entry["failed"]).split(":")[0]
    share = f"{entry['removed']:.3f}".removeprefix("0")
    return share if entry["difference"] <= EXACT else f"{share}, differs by {entry['difference']:.2g}"


def main() -> None:
    """Cut every network with every tool, write the figures and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", type=Path, required=True, help="a Python file with SUITE")
    parser.add_argument("--json", type=Path, required=True, help="file of the figures")
    given = parser.parse_args()
    spec = importlib.util.spec_from_file_location("networks", given.networks)
    assert spec is not None and spec.loader is not None
    networks = importlib.util.module_from_spec(spec)
    sys.modules["networks"] = networks
    spec.loader.exec_module(networks)
    columns: dict[str, Callable[[Any], nn.Module]] = {"Netwright": ours}
    if importlib.util.find_spec("torch_pruning") is not None:
        tool = importlib.import_module("torch_pruning")
        columns["Torch-Pruning"] = lambda net: theirs(net, tool, statistics=True)
        columns["Torch-Pruning without norms of channels"] = lambda net: theirs(net, tool, statistics=False)
    figures = {
        net.name: {name: compared(net, make) for name, make in columns.items()} for net in networks.SUITE
    }
    write_bytes(given.json, json.dumps(figures, indent=1).encode() + b"\n")
    print(table(figures))


if __name__ == "__main__":
    main()
