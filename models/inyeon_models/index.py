"""`index.json`: what lies in the models folder, for everybody who only reads the files.

One entry for each file: name, version, file, sha256, size_bytes, kind, licence, summary, inputs,
outputs, preprocessing, decoding, labels, space (the embedding space that a projection makes) and
`recipe` (a digest of everything the file was made from; only the build looks at it).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from inyeon_models.files import sha256_of, write_bytes
from inyeon_models.manifest import Product

FILE = "index.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Space:
    """The embedding space of a projection, as `inyeon.common.v1.EmbeddingSpace` names it."""

    model: str
    version: str
    dims: int
    encoding: str = "INT8_SCALED"


@dataclass(frozen=True, slots=True)
class Entry:
    """One built file; `description` is the manifest's part, ready for JSON."""

    name: str
    version: str
    file: str
    sha256: str
    size_bytes: int
    recipe: str
    space: Space | None
    description: dict[str, Any]

    def document(self) -> dict[str, Any]:
        """The entry as it stands in the file."""
        space = None if self.space is None else asdict(self.space)
        own = {"name": self.name, "version": self.version, "file": self.file}
        made = {"sha256": self.sha256, "size_bytes": self.size_bytes, "recipe": self.recipe}
        return {**own, **made, "space": space, **self.description}


def describe(product: Product, path: Path, recipe: str, space: Space | None) -> Entry:
    """Entry of a file that was just built; reads it once for its digest."""
    fields = {"kind", "licence", "summary", "labels", "inputs", "outputs"}
    fields |= {"preprocessing", "decoding"}
    return Entry(
        name=product.name,
        version=product.version if space is None else space.version,
        file=product.file,
        sha256=sha256_of(path),
        size_bytes=path.stat().st_size,
        recipe=recipe,
        space=space,
        description=product.model_dump(mode="json", include=fields),
    )


def read(folder: Path) -> dict[str, Entry]:
    """Entries by name; empty where there is no readable index (everything is then built anew)."""
    try:
        document = json.loads((folder / FILE).read_text("utf-8"))
        return {item["name"]: _entry(item) for item in document["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def write(folder: Path, entries: list[Entry]) -> None:
    """Replace the index at once."""
    files = [entry.document() for entry in entries]
    document = {"schema_version": SCHEMA_VERSION, "files": files}
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    write_bytes(folder / FILE, text.encode())


def _entry(item: dict[str, Any]) -> Entry:
    own = ("name", "version", "file", "sha256", "size_bytes", "recipe", "space")
    space = None if item["space"] is None else Space(**item["space"])
    return Entry(
        name=str(item["name"]),
        version=str(item["version"]),
        file=str(item["file"]),
        sha256=str(item["sha256"]),
        size_bytes=int(item["size_bytes"]),
        recipe=str(item["recipe"]),
        space=space,
        description={key: value for key, value in item.items() if key not in own},
    )
