"""Text and JSON from outside, before anything else sees them: what a database or an answer cannot hold is refused.

PostgreSQL stores no NUL, UTF-8 encodes no lone surrogate, a parser recurses into deep nesting, and numbers beyond a
double or 64 bits do not survive a round trip. These rules hold for every path, query parameter, header and body.
"""

from __future__ import annotations

import json
import math
from typing import Annotated

from pydantic import AfterValidator, Field

from service.errors import InvalidError

MAX_DEPTH = 32
MAX_VALUES = 400_000
MAX_INT = 2**63 - 1
MAX_KEY = 200  # characters
MAX_PARAMETER = 1000  # characters
CONTROL = {code for code in range(32) if chr(code) not in "\t\n\r"} | {127}

NO_CONTROL = "text without NUL and other control characters"
NO_SURROGATE = "text that UTF-8 can encode: no lone surrogates"


def text_fault(text: str) -> str | None:
    """The rule that a text breaks, or None."""
    if not text.isprintable() and any(ord(char) in CONTROL for char in text):
        return NO_CONTROL
    try:
        text.encode()
    except UnicodeEncodeError:
        return NO_SURROGATE
    return None


def check_text(text: str, field: str, max_length: int = MAX_PARAMETER) -> str:
    """The text itself; raises :class:`InvalidError` that names ``field``."""
    if len(text) > max_length:
        raise InvalidError(field, text[:80], f"at most {max_length} characters, not {len(text)}")
    fault = text_fault(text)
    if fault is not None:
        raise InvalidError(field, text, fault)
    return text


def _valid(text: str) -> str:
    fault = text_fault(text)
    if fault is not None:
        raise ValueError(fault)
    return text


Text = Annotated[str, AfterValidator(_valid), Field(max_length=MAX_PARAMETER)]
"""Any text that is stored or compared with what is stored."""


def parse_json(content: bytes) -> object:
    """The value of a JSON body.

    Raises:
        InvalidError: names ``body`` or the path to the value: no JSON, NaN, nesting over ``MAX_DEPTH``, over
            ``MAX_VALUES`` values, integers beyond 64 bits, text that cannot be stored.
    """
    try:
        value = json.loads(content, parse_constant=_no_constant)
    except RecursionError:
        raise InvalidError("body", "deeper nesting", f"JSON nested at most {MAX_DEPTH} deep") from None
    except ValueError as error:  # JSON, UTF-8, or an integer of thousands of digits
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "not UTF-8, or a number too long"
        raise InvalidError("body", None, "valid JSON", f"body must be valid JSON: {reason}") from None
    _check(value)
    return value


def _no_constant(name: str) -> object:
    raise InvalidError("body", name, "valid JSON, which has no NaN and no infinity")


def _check(value: object) -> None:
    """Walk a parsed value without recursion."""
    waiting: list[tuple[object, str, int]] = [(value, "", 1)]
    seen = 0
    while waiting:
        each, path, depth = waiting.pop()
        seen += 1
        if seen > MAX_VALUES:
            raise InvalidError("body", f"over {MAX_VALUES}", f"at most {MAX_VALUES} values")
        if isinstance(each, dict | list):
            if depth > MAX_DEPTH:
                raise InvalidError(_short(path), "deeper nesting", f"JSON nested at most {MAX_DEPTH} deep")
            waiting.extend(_parts(each, path, depth + 1))
        else:
            _check_value(each, path)


def _parts(value: dict[str, object] | list[object], path: str, depth: int) -> list[tuple[object, str, int]]:
    dot = f"{path}." if path else ""
    if isinstance(value, list):
        return [(part, f"{dot}{index}", depth) for index, part in enumerate(value)]
    for key in value:
        check_text(key, _short(path), MAX_KEY)
    return [(part, f"{dot}{key}", depth) for key, part in value.items()]


def _check_value(value: object, path: str) -> None:
    if isinstance(value, str):
        fault = text_fault(value)
        if fault is not None:
            raise InvalidError(_short(path), value, fault)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidError(_short(path), str(value), "a number that a double can hold")
    elif isinstance(value, int) and abs(value) > MAX_INT:
        raise InvalidError(_short(path), str(value)[:40], "an integer of at most 64 bits")


def _short(path: str) -> str:
    return path[:MAX_KEY] or "body"
