"""A torch network as an exported program: ``torch.export`` with a batch of any size, and why it may fail."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.nn.modules import transformer

from supernets.errors import ConvertError

Example = Sequence[Tensor] | Mapping[str, Tensor]


def export_program(model: nn.Module, example: Example) -> ExportedProgram:
    """``torch.export`` of a network in evaluation mode, with a batch of any size.

    Args:
        model: it is left as it was.
        example: positional inputs, or inputs by the names of ``forward``; examples along the first axis.

    Raises:
        ConvertError: what cannot be exported, with the line of the user's code.
    """
    args, named = _given(example)
    tensors = [*args, *named.values()]
    _check_example(tensors)
    _check_arguments(model, args, named)
    copied = (
        torch.clone if len(tensors[0]) > 1 else _twice
    )  # of a part of a tensor, torch.export guards the whole
    args, named = tuple(copied(each) for each in args), {key: copied(each) for key, each in named.items()}
    training = {module: module.training for module in model.modules()}
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    model.eval()
    try:
        with warnings.catch_warnings(), torch.enable_grad():
            warnings.simplefilter("ignore")
            return _exported(model, args, named)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for module, mode in training.items():
            module.training = mode


def _twice(value: Tensor) -> Tensor:
    return torch.cat([value, value])


def _check_example(tensors: Sequence[object]) -> None:
    """Refuse an example that is none, is no tensor, or has no axis of examples."""
    for each in tensors:
        if not isinstance(each, Tensor) or each.ndim < 1:
            got = (
                f"a tensor of shape {tuple(each.shape)}" if isinstance(each, Tensor) else type(each).__name__
            )
            raise ConvertError(
                f"an example must be tensors with the examples along their first axis, got {got}; where forward takes "
                "a tuple or a dict of tensors, convert a module whose forward takes each tensor by itself"
            )
    if not tensors:
        raise ConvertError(
            "an example of the inputs is needed: a tensor, a tuple of tensors, or a dict by the names of forward"
        )
    shapes = [tuple(each.shape) for each in tensors if isinstance(each, Tensor)]
    if len({shape[0] for shape in shapes}) != 1 or not shapes[0][0]:
        raise ConvertError(f"all inputs must have equally many examples, at least one, got {shapes}")


def _check_arguments(model: nn.Module, args: tuple[Tensor, ...], named: Mapping[str, Tensor]) -> None:
    """Refuse a module without source, and inputs that ``forward`` does not take or that are missing."""
    if isinstance(model, torch.jit.ScriptModule):
        raise ConvertError(
            "a TorchScript module cannot be exported; give the torch.nn.Module that it was made of"
        )
    try:
        inspect.signature(model.forward).bind(*args, **named)
    except TypeError as error:
        given = list(named) or f"{len(args)} in order"
        raise ConvertError(f"the example must have the inputs of forward: {error}; got {given}") from error


def _given(example: Example) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
    if isinstance(example, Tensor):
        return (example,), {}
    if not isinstance(example, Sequence | Mapping) or isinstance(example, str):
        raise ConvertError(
            "an example of the inputs is needed: a tensor, a tuple of tensors, or a dict by the names of forward, got "
            f"{type(example).__name__}"
        )
    return ((), dict(example)) if isinstance(example, Mapping) else (tuple(example), {})


def _exported(model: nn.Module, args: tuple[Tensor, ...], named: dict[str, Tensor]) -> ExportedProgram:
    dynamic = torch.export.Dim.DYNAMIC
    shapes: Any = {name: {0: dynamic} for name in named} if named else tuple({0: dynamic} for _ in args)
    if not named and _varies(model):
        shapes = (tuple(shapes),)
    failure: Exception | None = None
    for strict in (False, True):
        try:
            with _masks_as_given():
                return torch.export.export(model, args, named, dynamic_shapes=shapes, strict=strict)
        except Exception as error:  # the tracer raises whatever the network does
            failure = failure or error
    assert failure is not None
    raise ConvertError(_words(failure)) from failure


@contextmanager
def _masks_as_given() -> Iterator[None]:
    """``nn.Transformer`` looks at the values of a mask to see whether it is causal, a hint that changes no output.

    A trace has no values; with this, the mask is used as it is.
    """
    original = transformer._detect_is_causal_mask
    transformer._detect_is_causal_mask = _only_if_stated
    try:
        yield
    finally:
        transformer._detect_is_causal_mask = original


def _only_if_stated(
    mask: Tensor | None,  # noqa: ARG001 (as in torch)
    is_causal: bool | None = None,
    size: int | None = None,  # noqa: ARG001
) -> bool:
    return bool(is_causal)


def _varies(model: nn.Module) -> bool:
    """Whether ``forward`` takes ``*inputs``."""
    kinds = [each.kind for each in inspect.signature(model.forward).parameters.values()]
    return inspect.Parameter.VAR_POSITIONAL in kinds


def _words(error: Exception) -> str:
    """What cannot be exported, and the user's line."""
    text = str(error)
    line = _user_line(error) or _line_in(text)
    where = f" at {line}" if line else ""
    if "data-dependent" in text or "GuardOnDataDependent" in type(error).__name__:
        return f"control flow depends on the data{where}: use torch.where or a fixed choice in its place"
    if "marked as dynamic" in text or "specialized" in text or "Constraints violated" in text:
        return f"the network must take a batch of any size, but it fixes it{where}: {_first(text)}"
    return f"torch.export cannot trace the network{where}: {type(error).__name__}: {_first(text)}"


def _first(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[:3])[:400] or "no message"


def _line_in(text: str) -> str:
    found = re.findall(r'File "([^"]+)", line (\d+), in forward', text)
    return place(*found[-1]) if found else ""


def _user_line(error: BaseException) -> str:
    """The last line of a ``forward`` outside of torch, in the traceback or its causes."""
    found = ""
    seen: BaseException | None = error
    while seen is not None:
        trace = seen.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            if code.co_name == "forward" and "/torch/" not in code.co_filename:
                found = place(code.co_filename, trace.tb_lineno)
            trace = trace.tb_next
        seen = seen.__cause__ or seen.__context__
    return found


def place(file: str, line: int | str) -> str:
    """A source line without the folders of the machine."""
    return f"{file.rsplit('/', 1)[-1]}:{line}"
