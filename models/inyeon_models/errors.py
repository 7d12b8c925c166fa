"""Everything that the model build may raise on purpose.

ModelsError                 the root; its text is meant for the person at the terminal
├── ManifestError           manifest.toml does not say what it must
├── FetchError              a source package could not be obtained
├── DigestMismatch          bytes are not the pinned ones (names the file and both digests)
├── SourceError             a source package does not hold what the manifest says
│   └── LiteralError        a JavaScript literal is malformed (carries the position)
├── ConversionError         a model cannot be expressed in the target format
└── VerifyError             a built file disagrees with its reference
"""

from __future__ import annotations


class ModelsError(Exception):
    """Root of the tree; callers at the terminal print its text and exit with code 1."""


class ManifestError(ModelsError):
    """A field of the manifest is missing, unknown or of the wrong type; the text names it."""


class FetchError(ModelsError):
    """A package manager failed or timed out; the text carries the end of its output."""


class DigestMismatch(ModelsError):
    """The bytes of `name` hash to `actual`, although `expected` is pinned."""

    def __init__(self, name: str, *, expected: str, actual: str) -> None:
        super().__init__(f"{name}: refused, sha256 is {actual}, the manifest pins {expected}")
        self.name = name
        self.expected = expected
        self.actual = actual


class SourceError(ModelsError):
    """A member is absent from a package, or its content is not in the expected format."""


class LiteralError(SourceError):
    """A JavaScript literal is malformed at character `position`."""

    def __init__(self, reason: str, position: int) -> None:
        super().__init__(f"JavaScript literal: {reason} at character {position}")
        self.position = position


class ConversionError(ModelsError):
    """A layer, attribute or tensor has no counterpart in the target format."""


class VerifyError(ModelsError):
    """A built file is absent, truncated or further from its reference than its bound."""
