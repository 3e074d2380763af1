"""What is said of networks, examples and weights that cannot be converted: what was found, where, and what to do."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netwright.convert_commands import _load
from netwright.errors import NetwrightError
from supernets.convert import convert, convert_program
from supernets.convert.archive import read_program
from supernets.data import load_data
from supernets.errors import ConvertError
from tests.convert.networks import unit


class Body(nn.Module):
    """Two convolutions and a classifier; subclasses change what is done with them."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.head, self.more = unit(3, 16), unit(16, 16), nn.Linear(16, 5), nn.Linear(16, 2)

    def features(self, x: Tensor) -> Tensor:
        return self.b(self.a(x)).mean((2, 3))

    def forward(self, x: Tensor) -> Any:
        return self.head(self.features(x))


class Loop(Body):
    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x)
        for _ in range(int(x.sum().item()) % 3):  # depends on the data
            x = self.b(x)
        return self.head(x.mean((2, 3)))


class Unknown(Body):
    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        return self.head(x) + torch.histc(x, 10).sum()


class Opaque(Body):
    def forward(self, x: Tensor) -> Tensor:
        x = self.b(self.a(x)).mean((2, 3))
        return self.head(torch.sort(x, dim=1).values)


class Mean(Body):
    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x)).mean(0)


class Chosen(Body):
    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        return self.head(x[x.sum(1) > 0])


class Dict(Body):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.features(x)
        return {"classes": self.head(x), "boxes": self.more(x)}


class Nothing(Body):
    def forward(self, x: Tensor) -> None:
        self.features(x)


class OneChannel(Body):
    """The middle was pruned to one channel before."""

    def __init__(self) -> None:
        super().__init__()
        self.b = nn.Sequential(unit(16, 1), unit(1, 16))


class TwoKinds(Body):
    """An image and a text."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.mix = nn.Embedding(20, 16), nn.Linear(32, 16)

    def forward(self, image: Tensor, ids: Tensor) -> Tensor:
        both = torch.cat([self.features(image), self.words(ids).mean(1)], 1)
        return self.head(F.relu(self.mix(both)))


class Complex(nn.Module):
    """A spectrum: complex inputs and weights."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.inner = nn.Linear(4, 16, dtype=torch.complex64), nn.Linear(16, 24)
        self.head = nn.Linear(24, 5)

    def forward(self, z: Tensor) -> Tensor:
        return self.head(F.relu(self.inner(self.first(z).abs())))


class Bytes(Body):
    """Pixels as whole numbers."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.float() / 255)


def image(n: int = 2) -> Tensor:
    return torch.randn(n, 3, 8, 8, generator=torch.Generator().manual_seed(0))


REFUSED: tuple[tuple[nn.Module, object, str], ...] = (
    (Loop(), image(), "control flow depends on the data at test_refusals.py:.*torch.where"),
    (Unknown(), image(), "operator aten.histc.default is not supported at test_refusals.py:.*replace it"),
    (Mean(), image(), r"examples along its first axis, got shape \[5\] from aten.mean.*at test_refusals.py"),
    (Chosen(), image(), r"examples along its first axis, got shape \['\?', 5\]"),
    (Dict(), image(), r"returns 2 tensors \['classes', 'boxes'\]; name the one"),
    (Nothing(), image(), "must return a tensor that quality is computed from, it returns none"),
    (nn.ReLU(), image(), "it has no weights"),
    (Body(), (), "an example of the inputs is needed: a tensor, a tuple"),
    (Body(), None, "an example of the inputs is needed: .*NoneType"),
    (Body(), torch.tensor(1.0), r"examples along their first axis, got a tensor of shape \(\)"),
    (Body(), [[1.0]], "examples along their first axis, got list"),
    (Body(), {"picture": image()}, r"inputs of forward: missing a required argument: 'x'; got \['picture'\]"),
    (TwoKinds(), (image(),), "inputs of forward: missing a required argument: 'ids'; got 1 in order"),
    (TwoKinds(), (image(), torch.zeros(3, 4, dtype=torch.long)), r"equally many examples.*\(3, 4\)"),
    (Body(), image(0), "at least one"),
    (Body(), image().long(), "cannot trace the network at test_refusals.py:.*(Long|long int)"),
    (Body().half(), image(), "cannot trace the network at|does not run on the example: Input type"),
)


@pytest.mark.filterwarnings("ignore")  # of the tracer
@pytest.mark.parametrize(("net", "example", "words"), REFUSED, ids=[words[:40] for _, _, words in REFUSED])
def test_a_network_that_cannot_be_converted_is_refused_with_place_and_way_out(
    net: nn.Module, example: Any, words: str
) -> None:
    with pytest.raises(ConvertError, match=words):
        convert(net, example)


@pytest.mark.filterwarnings("ignore")  # of the deprecated tracer
def test_a_torchscript_module_is_refused() -> None:
    with pytest.raises(ConvertError, match="TorchScript module cannot be exported; give the"):
        convert(torch.jit.trace(Body().eval(), image()), image())


def test_not_finite_outputs_are_named() -> None:
    net = Body()
    with torch.no_grad():
        net.head.weight.fill_(float("nan"))
    with pytest.raises(ConvertError, match="must be finite"):
        convert(net, image())


def test_an_operator_that_is_not_followed_keeps_its_channels_and_is_named() -> None:
    found = convert(Opaque(), image())
    assert [axis.name for axis in found.axes] == ["a.0.width"]
    stays = next(each for each in found.frozen if each.module == "b.0")
    assert "not followed" in stays.reason and "aten.sort" in stays.reason
    assert stays.line.startswith("test_refusals.py:")


@pytest.mark.parametrize(
    ("net", "example", "axes"),
    [
        (OneChannel(), image(), {"a.0.width", "b.1.0.width"}),
        (TwoKinds(), {"image": image(), "ids": torch.ones(2, 4, dtype=torch.long)}, {"mix.width"}),
        (Complex(), torch.randn(2, 4, dtype=torch.complex64), {"inner.width"}),
        (Bytes(), torch.full((2, 3, 8, 8), 7, dtype=torch.uint8), {"a.0.width", "b.0.width"}),
    ],
    ids=["one channel", "two kinds of inputs", "complex", "bytes"],
)
def test_odd_inputs_and_modules_are_converted(net: nn.Module, example: Any, axes: set[str]) -> None:
    assert axes <= {axis.name for axis in convert(net, example).axes}


def test_an_output_of_several_is_chosen_by_name() -> None:
    found = convert(Dict(), image(), output="boxes")
    assert found.interface.output.name == "boxes" and found.interface.output.shape == ("batch", 2)
    with pytest.raises(ConvertError, match=r"one of \['classes', 'boxes'\], got 'logits'"):
        convert(Dict(), image(), output="logits")


def test_inputs_of_two_kinds_are_no_images(tmp_path: Path) -> None:
    from supernets.convert.directory import write_supernet

    found = convert(TwoKinds(), {"image": image(), "ids": torch.ones(2, 4, dtype=torch.long)})
    with pytest.raises(
        ConvertError, match=r"one image .*as its input, got \[\['1\*b', 3, 8, 8\], \['1\*b', 4\]\]"
    ):
        write_supernet(found, load_data("digits"), tmp_path / "net", name="net")


def test_weights_of_another_network_are_listed(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    state = Body().state_dict()
    state["head.weight"] = torch.zeros(7, 16)
    state["tail.weight"] = state.pop("more.weight")
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(NetwrightError) as refused:
        _load(Body(), tmp_path / "w.safetensors")
    for words in (
        "missing: more.weight",
        "not of the network: tail.weight",
        "head.weight is [7, 16] in place of [5, 16]",
    ):
        assert words in str(refused.value)


def test_a_file_whose_weights_do_not_match_its_graph_is_refused(tmp_path: Path) -> None:
    program = torch.export.export(Body().eval(), (image(),), dynamic_shapes=({0: torch.export.Dim("batch")},))
    torch.export.save(program, tmp_path / "net.pt2")

    def change(config: Any, edit: Callable[[Any], None]) -> bytes:
        edit(config["config"])
        return json.dumps(config).encode()

    def write(edit: Callable[[Any], None], to: Path) -> Path:
        with zipfile.ZipFile(tmp_path / "net.pt2") as old, zipfile.ZipFile(to, "w") as new:
            for name in old.namelist():
                content = old.read(name)
                own = name.endswith("weights_config.json")
                new.writestr(name, change(json.loads(content), edit) if own else content)
        return to

    def narrower(config: Any) -> None:
        sizes = config["head.weight"]["tensor_meta"]["sizes"]
        sizes[0]["as_int"] = 3

    for edit in (narrower, lambda config: config.pop("head.weight")):
        with pytest.raises(ConvertError, match="head.weight|cannot be loaded"):
            convert_program(read_program(write(edit, tmp_path / "other.pt2")))
