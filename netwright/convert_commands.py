"""``netwright convert``: a network of the user's own becomes a supernet directory on this machine."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netwright.commands.options import numbers
from netwright.errors import NetwrightError
from netwright.installed import server_packages

if TYPE_CHECKING:
    from torch import nn

    from supernets.convert import Converted


@dataclass(frozen=True, slots=True)
class ConvertCommand:
    """The options of ``netwright convert``; ``network`` is ``module:function`` or a ``.pt2`` file."""

    network: str
    data: str
    out: Path | None
    name: str | None
    weights: Path | None
    size: str | None
    mean: str | None
    std: str | None
    crop: float
    output: str | None
    widths: str
    multiple: int
    skip: bool
    approximate: bool
    importance: str


@dataclass(frozen=True, slots=True)
class FolderCommand:
    """The options of ``netwright convert FOLDER``; None is left to the folder and the data."""

    folder: Path
    data: str
    out: Path
    name: str | None
    task: str | None
    sequence: int | None


@dataclass(frozen=True, slots=True)
class FolderSummary:
    """The supernet of a pretrained folder: its space, and the tensors that were new or not used."""

    family: str
    task: str
    subnets: float
    axes: dict[str, list[object]]
    model_type: str
    classifier: str
    new: list[str]
    unused: list[str]


def convert_folder(command: FolderCommand) -> FolderSummary:
    """Write the supernet directory of a pretrained folder."""
    with server_packages():
        from supernets.pretrained.directory import convert_folder as run
        from supernets.pretrained.request import task_of

        task = command.task or task_of(command.folder, command.data)
        name = command.name or command.out.resolve().name
        manifest = run(
            command.folder, command.data, command.out, name=name, task=task, sequence=command.sequence
        )
        space = manifest.make_family().space()
        axes: dict[str, list[object]] = {axis.name: list(axis.choices) for axis in space.axes}
        return FolderSummary(
            manifest.family, manifest.task, space.size(), axes, **manifest.report["pretrained"]
        )


def folder_text(card: FolderSummary, out: Path) -> str:
    """The summary, for people."""
    kinds = {name.rsplit(".", 1)[-1]: choices for name, choices in card.axes.items()}
    axes = "; ".join(f"{kind} {', '.join(map(str, choices))}" for kind, choices in kinds.items())
    lines = [
        f"{out}: family {card.family} from {card.model_type}, task {card.task}, {card.subnets:.3g} subnets",
        f"axes: {axes}",
        f"classifier: {card.classifier}",
    ]
    if card.new:
        lines.append(f"new, random weights: {', '.join(card.new)}")
    if card.unused:
        lines.append(f"not used: {', '.join(card.unused[:5])}{' …' if len(card.unused) > 5 else ''}")
    lines.append(f"next: netwright train largest_first --from {out} --out RUN")
    return "\n".join(lines)


def convert(command: ConvertCommand) -> dict[str, object]:
    """What was found, as JSON; writes the supernet directory to ``out``, if any."""
    with server_packages():
        from supernets.convert.directory import Expects, found_in, ranked_on, write_supernet
        from supernets.convert.importances import WITHOUT_EXAMPLES, check_importance
        from supernets.data import load_data

        check_importance(command.importance)
        found, expects = _converted(command), None
        if command.mean is not None or command.std is not None:
            mean, std = numbers(command.mean or "", "--mean"), numbers(command.std or "", "--std")
            expects = Expects(tuple(mean), tuple(std), command.crop)
        if command.out is not None or command.importance not in WITHOUT_EXAMPLES:
            data = load_data(command.data)
            found = ranked_on(found, command.importance, data, expects=expects)
        if command.out is not None:
            name = command.name or command.out.resolve().name
            write_supernet(found, data, command.out, name=name, expects=expects)
        shown: dict[str, Any] = found_in(found).model_dump(mode="json")
        return shown


def _converted(command: ConvertCommand) -> Converted:
    import torch

    from supernets.convert import convert as run
    from supernets.convert import convert_program
    from supernets.convert.archive import read_program
    from supernets.families.converted.traced_space import TracedConfig

    torch.set_num_threads(1)
    widths = tuple(numbers(command.widths, "--widths"))
    if command.network.endswith(".pt2"):
        settings = TracedConfig(widths, command.multiple, command.approximate, command.skip)
        return convert_program(read_program(Path(command.network)), settings, output=command.output)
    made = _call(command.network)
    model, example = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    if not isinstance(model, torch.nn.Module):
        raise NetwrightError(f"{command.network} must return a torch.nn.Module, got {type(model).__name__}")
    if command.weights is not None:
        _load(model, command.weights)
    if example is None:
        sizes = [int(each) for each in numbers((command.size or "").replace("x", ","), "--size")]
        example = torch.randn(2, *sizes, generator=torch.Generator().manual_seed(0))
    return run(
        model,
        example,
        output=command.output,
        widths=widths,
        multiple=command.multiple,
        approximate=command.approximate,
        skip=command.skip,
    )


def _call(network: str) -> Any:
    """What ``module:function`` returns; modules of the current folder are found."""
    module, _, function = network.partition(":")
    if not module or not function:
        raise NetwrightError(f"a network must be module:function or a .pt2 file, got {network!r}")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        return getattr(importlib.import_module(module), function)()
    except (ImportError, AttributeError) as error:
        raise NetwrightError(f"{network} cannot be called: {error}") from error


def _load(model: nn.Module, weights: Path) -> None:
    from supernets.checkpoints import read_tensors

    given, own = read_tensors(weights), model.state_dict()
    shapes = [
        f"{key} is {list(given[key].shape)} in place of {list(own[key].shape)}"
        for key in own
        if key in given and given[key].shape != own[key].shape
    ]
    faults = {
        "missing": [key for key in own if key not in given],
        "not of the network": [key for key in given if key not in own],
        "of another shape": shapes,
    }
    try:
        model.load_state_dict(given)
    except RuntimeError as error:
        words = "; ".join(f"{what}: {_some(names)}" for what, names in faults.items() if names)
        raise NetwrightError(
            f"{weights.name} must hold the weights of the network; {words or error}"
        ) from error


def _some(names: list[str]) -> str:
    """The first few of them."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
