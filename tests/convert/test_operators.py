"""Exported programs are read as they are where that is right, and traced again where memory is shared."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from supernets.convert import convert
from supernets.convert.export import graph_of
from supernets.convert.operators import out_of_place, readable
from supernets.convert.program import export_program
from supernets.errors import ConvertError
from supernets.traced.run import plain_net
from tests.convert.networks import CONVERTED, built


class _Net(nn.Module):
    """Two convolutions with statistics; subclasses differ in what they change in place."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(3, 16, 3, padding=1)
        self.two = nn.Conv2d(16, 16, 3, padding=1)
        self.fc = nn.Linear(16 * 36, 4)


class _Residual(_Net):
    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.one(x), inplace=True)
        z = self.two(y)
        z += y
        z.relu_()
        return self.fc(F.dropout(z.flatten(1), 0.5, self.training, inplace=True))


class _OldValueReadFirst(_Net):
    def forward(self, x: Tensor) -> Tensor:
        y = self.one(x)
        before = y * 2
        y.relu_()
        return self.fc((y + before).flatten(1))


class _ShapedLike(_Net):
    def forward(self, x: Tensor) -> Tensor:
        y = self.one(x).relu_()
        return self.fc(self.two(y).flatten(1).view_as(y).reshape_as(y).flatten(1))


class _ViewedBefore(_Net):
    def forward(self, x: Tensor) -> Tensor:
        y = self.one(x)
        seen = y.flatten(1)
        y.relu_()
        return self.fc(seen)


class _ViewChanged(_Net):
    def forward(self, x: Tensor) -> Tensor:
        y = self.one(x)
        y[:, :4].relu_()
        return self.fc(y.flatten(1))


class _DroppedChanged(_Net):
    def forward(self, x: Tensor) -> Tensor:
        y = self.one(x)
        same = F.dropout(y, 0.5, self.training)
        same.relu_()
        return self.fc(y.flatten(1))


class _Assigned(_Net):
    def forward(self, x: Tensor) -> Tensor:
        y = self.one(x)
        y[:, :4] = 0.0
        return self.fc(y.flatten(1))


class _InputChanged(_Net):
    def forward(self, x: Tensor) -> Tensor:
        y = x.view_as(x)
        y.mul_(2.0)
        return self.fc(self.one(x).flatten(1))


class _OtherType(_Net):
    def forward(self, x: Tensor) -> Tensor:
        y = self.one(x)
        y.add_((x.sum(1, keepdim=True) > 0).long())
        return self.fc(y.flatten(1))


AS_THEY_ARE = (_Residual, _OldValueReadFirst, _ShapedLike)
AGAIN = (_ViewedBefore, _ViewChanged, _Assigned, _InputChanged, _OtherType)


@pytest.mark.parametrize("kind", [*AS_THEY_ARE, *AGAIN])
def test_changes_in_place_are_read_right_and_traced_again_where_memory_is_shared(kind: type[_Net]) -> None:
    torch.manual_seed(0)
    net, x = kind().eval(), torch.randn(3, 3, 6, 6)
    program = export_program(net, x)
    assert readable(program) == (kind in AS_THEY_ARE)
    traced = graph_of(program)
    with torch.inference_mode():
        expected = net(x.clone())
        got = plain_net(traced.graph, traced.tensors)(x.clone())
    assert isinstance(got, Tensor)
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


def test_a_tensor_changed_after_an_idle_dropout_is_refused() -> None:
    torch.manual_seed(0)
    net, x = _DroppedChanged().eval(), torch.randn(3, 3, 6, 6)
    assert not readable(export_program(net, x))
    with pytest.raises(ConvertError, match="must give the outputs of the original"):
        convert(net, x)


@pytest.mark.parametrize("name", ["residual"])
def test_both_ways_of_reading_find_the_same_axes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (case,) = [each for each in CONVERTED if each.name == name]
    net, inputs = built(case), case.inputs(2)
    assert readable(export_program(net, inputs))
    direct = convert(net, inputs, output=case.output)
    monkeypatch.setattr("supernets.convert.export.readable", lambda _: False)
    again = convert(net, inputs, output=case.output)
    assert direct.axes == again.axes
    assert [each.module for each in direct.frozen] == [each.module for each in again.frozen]


def test_only_operators_with_the_same_result_are_read_out_of_place() -> None:
    assert out_of_place("aten.add_.Tensor") == "aten.add.Tensor"
    assert out_of_place("aten.relu.default") is None
    assert out_of_place("aten.copy_.default") is None
    assert out_of_place("aten.__and__.Tensor") is None
