"""Reads models/manifest.toml: the packages we take from, and every file we make.

The one place where a package, a version or a digest is written down.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from inyeon_models.errors import ManifestError
from inyeon_models.files import sha256_of_bytes

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=64)]
FileName = Annotated[str, Field(pattern=r"^([a-z0-9_]+/)?[A-Za-z0-9][A-Za-z0-9_.-]*$")]
Recipe = Literal[
    "copy",
    "nsfw_onnx",
    "text_table",
    "text_scale",
    "text_onnx",
    "content_pca",
    "content_head",
    "canaries",
    "interest_projection",
    "trained",
]
Kind = Literal["tflite", "onnx", "npy", "npz", "json", "sentencepiece", "clip", "picture"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Strict):
    """One pinned package file. `platform` picks a wheel (pypi only); sizes in bytes."""

    name: Name
    ecosystem: Literal["pypi", "npm"]
    package: str
    version: str
    file: FileName
    sha256: Digest
    size_bytes: Annotated[int, Field(gt=0)]
    licence: str
    platform: str | None = None

    @property
    def label(self) -> str:
        """How people know it, such as `mediapipe 0.10.21`."""
        return f"{self.package} {self.version}"


class Tensor(_Strict):
    """One input or output: a text in `shape` is a free axis."""

    name: str
    shape: tuple[int | str, ...]
    dtype: Literal["float32", "uint8"]
    meaning: str


class Preprocessing(_Strict):
    """How a picture becomes the input: value = pixel / 255 * scale + offset, RGB."""

    resize: Literal["squash", "letterbox"]
    sampling: str
    scale: float
    offset: float


class AnchorLayer(_Strict):
    """A square grid of anchors, `per_cell` in each cell, row by row."""

    grid: Annotated[int, Field(gt=0)]
    per_cell: Annotated[int, Field(gt=0)]


class Decoding(_Strict):
    """How a detector's rows become boxes: see the card of the model."""

    anchors: tuple[AnchorLayer, ...]
    box_scale: float
    score_clip: float
    key_points: int


class Product(_Strict):
    """One file that we make: by `recipe` from members of `source` and from earlier products.

    Without a source, members are files committed beside the manifest.
    """

    name: Name
    version: str
    file: FileName
    kind: Kind
    recipe: Recipe
    licence: str
    summary: str
    source: Name | None = None
    members: tuple[str, ...] = ()
    needs: tuple[Name, ...] = ()
    sha256: Digest | None = None
    size_bytes: int | None = None
    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    preprocessing: Preprocessing | None = None
    decoding: Decoding | None = None
    labels: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Changes when anything that the manifest says about this file changes."""
        return sha256_of_bytes(self.model_dump_json().encode())

    @model_validator(mode="after")
    def _copy_is_pinned(self) -> Self:
        pinned = self.sha256 and self.size_bytes and self.source and len(self.members) == 1
        if self.recipe == "copy" and not pinned:
            raise ValueError("a copy needs source, one member, sha256 and size_bytes")
        committed = self.sha256 and not self.source and len(self.members) == 1
        if self.recipe == "trained" and not committed:
            raise ValueError("a trained file needs one committed member and its sha256")
        return self


class Manifest(_Strict):
    """The whole manifest; products are in build order."""

    schema_version: Literal[1]
    source: tuple[Source, ...]
    product: tuple[Product, ...]

    def source_named(self, name: str) -> Source:
        """Raises ManifestError where no source has that name."""
        for source in self.source:
            if source.name == name:
                return source
        raise ManifestError(f"manifest: no source is called {name}")

    def product_named(self, name: str) -> Product:
        """Raises ManifestError where no product has that name."""
        for product in self.product:
            if product.name == name:
                return product
        known = ", ".join(product.name for product in self.product)
        raise ManifestError(f"manifest: no product is called {name}; there are {known}")

    def closure(self, names: tuple[str, ...]) -> tuple[Product, ...]:
        """The named products and all they need, in build order; all products for no names."""
        if not names:
            return self.product
        wanted: set[str] = set()
        pending = list(names)
        while pending:
            name = pending.pop()
            if name not in wanted:
                wanted.add(name)
                pending.extend(self.product_named(name).needs)
        return tuple(product for product in self.product if product.name in wanted)

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        _unique([source.name for source in self.source], "source")
        _unique([product.name for product in self.product], "product")
        _unique([product.file for product in self.product], "file")
        sources = {source.name for source in self.source}
        built: set[str] = set()
        for product in self.product:
            if product.source is not None and product.source not in sources:
                raise ValueError(f"{product.name}: unknown source {product.source}")
            if late := set(product.needs) - built:
                raise ValueError(f"{product.name}: needs {sorted(late)}, not built before it")
            built.add(product.name)
        return self


def load(path: Path) -> Manifest:
    """Read and check the manifest; raises ManifestError naming every wrong field."""
    try:
        return parse(path.read_text("utf-8"))
    except OSError as error:
        raise ManifestError(f"{path}: {error.strerror}") from error


def parse(text: str) -> Manifest:
    """Check the text of a manifest; raises ManifestError naming every wrong field."""
    try:
        return Manifest.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ManifestError(f"manifest: {error}") from error
    except ValidationError as error:
        raise ManifestError(f"manifest: {_reasons(error)}") from error


def _reasons(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False)
    return "; ".join(
        f"{'.'.join(str(part) for part in item['loc']) or 'manifest'}: {item['msg']}"
        for item in found
    )


def _unique(names: list[str], what: str) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{what} names used twice: {twice}")
