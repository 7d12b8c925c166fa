"""Reads the value a minified JavaScript module exports, without running any JavaScript.

NSFWJS ships its topology and weights as `....exports={...}` with bare keys, `!0` for true and
numbers such as `.5` or `1963e-20`: a literal of JavaScript, not JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from inyeon_models.errors import LiteralError

Value = None | bool | int | float | str | list["Value"] | dict[str, "Value"]

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<punctuation>!0|!1|[{}\[\],:])
  | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
  | (?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)
  | (?P<word>[A-Za-z_$][\w$]*)
    )""",
    re.VERBOSE,
)
# the module loader around the literal also assigns a call (`.exports=e()`), which is no literal
_EXPORTS = re.compile(r"""\.exports\s*=\s*(?=[{\["'])""")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_SIMPLE_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}
_WORDS: dict[str, Value] = {"true": True, "false": False, "null": None, "undefined": None}
_MAX_DEPTH = 64  # the topology nests 9 deep; a hostile file must not exhaust the stack


@dataclass(frozen=True, slots=True)
class Token:
    """One lexical unit: its kind (a group name of the tokenizer), text and start position."""

    kind: str
    text: str
    position: int


def tokens(source: str, start: int = 0) -> Iterator[Token]:
    """Yield the tokens from `start` on; ends silently at the first text that is none.

    The literal is followed by the rest of the module (`},{}]},{},[1])(1)});`), which the parser
    never reaches because it stops at the end of the value.
    """
    position = start
    while (match := _TOKEN.match(source, position)) is not None and match.lastgroup is not None:
        yield Token(match.lastgroup, match.group(match.lastgroup), match.start(match.lastgroup))
        position = match.end()


def exported_value(source: str) -> Value:
    """Return what the module assigns to `exports`; raises LiteralError."""
    found = _EXPORTS.search(source)
    if found is None:
        raise LiteralError("no literal is assigned to exports", 0)
    return parse(source, found.end())


def parse(source: str, start: int = 0) -> Value:
    """Parse the one literal that begins at `start`; what follows it is ignored."""
    return _Parser(source, start).value(0)


class _Parser:
    def __init__(self, source: str, start: int) -> None:
        self._tokens = tokens(source, start)
        self._end = len(source)
        self._ahead: Token | None = None

    def value(self, depth: int) -> Value:
        token = self._next()
        if depth > _MAX_DEPTH:
            raise LiteralError(f"nested deeper than {_MAX_DEPTH}", token.position)
        match token:
            case Token("punctuation", "{"):
                return self._object(depth)
            case Token("punctuation", "["):
                return self._array(depth)
            case Token("punctuation", "!0" | "!1" as text):
                return text == "!0"
            case Token("string"):
                return _unquote(token.text)
            case Token("number"):
                return _number(token.text)
            case Token("word", text) if text in _WORDS:
                return _WORDS[text]
        raise LiteralError(f"unexpected {token.text!r}", token.position)

    def _object(self, depth: int) -> dict[str, Value]:
        result: dict[str, Value] = {}
        while not self._accept("}"):
            key = self._next()
            if key.kind not in ("word", "string", "number"):
                raise LiteralError(f"{key.text!r} is no key", key.position)
            self._require(":")
            result[_unquote(key.text) if key.kind == "string" else key.text] = self.value(depth + 1)
            self._separate("}")
        return result

    def _array(self, depth: int) -> list[Value]:
        result: list[Value] = []
        while not self._accept("]"):
            result.append(self.value(depth + 1))
            self._separate("]")
        return result

    def _separate(self, closing: str) -> None:
        if not self._accept(",") and self._peek().text != closing:
            token = self._peek()
            raise LiteralError(f"expected ',' or {closing!r}, not {token.text!r}", token.position)

    def _require(self, text: str) -> None:
        token = self._next()
        if token.kind != "punctuation" or token.text != text:
            raise LiteralError(f"expected {text!r}, not {token.text!r}", token.position)

    def _accept(self, text: str) -> bool:
        token = self._peek()
        if token.kind != "punctuation" or token.text != text:
            return False
        self._ahead = None
        return True

    def _peek(self) -> Token:
        if self._ahead is None:
            self._ahead = self._next()
        return self._ahead

    def _next(self) -> Token:
        token, self._ahead = self._ahead, None
        token = token or next(self._tokens, None)
        if token is None:
            raise LiteralError("the literal is cut off or holds an expression", self._end)
        return token


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _unquote(text: str) -> str:
    plain = _ESCAPE.sub(_unescape, text[1:-1])
    # two \u escapes may form one character beyond the basic plane, as in UTF-16
    return plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _unescape(match: re.Match[str]) -> str:
    code = match.group(1) or match.group(2)
    if code is not None:
        return chr(int(code, 16))
    return _SIMPLE_ESCAPES.get(match.group(3), match.group(3))
