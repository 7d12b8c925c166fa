from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon_models.errors import LiteralError
from inyeon_models.js_literal import Value, exported_value, parse

pytestmark = pytest.mark.unit

_KEYWORDS = {"true", "false", "null", "undefined"}
_keys = st.from_regex(r"[A-Za-z_$][A-Za-z0-9_$]{0,8}", fullmatch=True)
_numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | _numbers | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_keys, inner, max_size=4),
    max_leaves=20,
)


def _minified(value: Value) -> str:
    """Render as a minifier would: bare keys, !0 and !1, no zero before the point."""
    match value:
        case True:
            return "!0"
        case False:
            return "!1"
        case dict():
            return "{" + ",".join(f"{key}:{_minified(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ",".join(_minified(item) for item in value) + "]"
        case float():
            return repr(value).replace("0.", ".", 1) if abs(value) < 1 else repr(value)
        case _:
            return json.dumps(value)


@given(_values)
def test_what_a_minifier_writes_is_read_back(value: Value) -> None:
    assert parse(_minified(value)) == value


@given(_values.filter(lambda value: isinstance(value, dict | list | str)))
def test_every_cut_is_refused_and_never_read_as_something_else(value: Value) -> None:
    source = _minified(value)
    for end in range(len(source)):
        with pytest.raises(LiteralError):
            parse(source[:end])


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_a_position(source: str) -> None:
    try:
        parse(source)
    except LiteralError as error:
        assert 0 <= error.position <= len(source)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (".5", 0.5),
        ("-.25", -0.25),
        ("1963169733975448e-20", 1963169733975448e-20),
        ("8.999e-7", 8.999e-7),
        ("-0", 0),
        ("[1,2,]", [1, 2]),
        ("{a:1,'b c':null,7:undefined}", {"a": 1, "b c": None, "7": None}),
        (r'"\u00e9\x41\n\q"', "\u00e9A\nq"),
    ],
)
def test_forms_of_the_language(source: str, expected: Value) -> None:
    assert parse(source) == expected


def test_minus_zero_stays_a_number_that_equals_zero() -> None:
    value = parse("-0.0")
    assert isinstance(value, float)
    assert math.copysign(1.0, value) == -1.0


def test_the_exported_literal_is_found_behind_the_module_loader() -> None:
    source = "!function(e){module.exports=e()}(function(){a.exports={x:!1}},{}]},{},[1])(1)});"
    assert exported_value(source) == {"x": False}


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{a:1 b:2}", "expected ','"),
        ("{a 1}", "expected ':'"),
        ("{[:1}", "is no key"),
        ("[1", "cut off"),
        ("]", "unexpected"),
        ("foo", "unexpected"),
        ("f(1)", "unexpected"),
        ("[" * 80, "nested deeper"),
    ],
)
def test_a_broken_literal_says_what_is_wrong(source: str, reason: str) -> None:
    with pytest.raises(LiteralError, match=reason):
        parse(source)


def test_a_module_without_a_literal_is_refused() -> None:
    with pytest.raises(LiteralError, match="no literal"):
        exported_value("module.exports=e()")
