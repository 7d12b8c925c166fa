"""Shared by the tests of models/: a tiny package of our own, and the real built files."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import settings

from inyeon_models import paths
from inyeon_models.index import Entry
from inyeon_models.manifest import Manifest, Product, Source, parse

# Tests say nothing about speed: a loaded machine must not fail them.
settings.register_profile("models", deadline=None)
settings.load_profile("models")

MakeManifest = Callable[..., Manifest]


@dataclass
class Recorder:
    """The twin of the terminal: remembers what the build told."""

    fetched: list[str] = field(default_factory=list)
    making_files: list[str] = field(default_factory=list)
    fresh_files: dict[str, bool] = field(default_factory=dict)

    def fetching(self, source: Source, done_bytes: int) -> None:
        if done_bytes == source.size_bytes:
            self.fetched.append(source.name)

    def making(self, product: Product) -> None:
        self.making_files.append(product.file)

    def made(self, entry: Entry, *, fresh: bool) -> None:
        self.fresh_files[entry.file] = fresh


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A folder that holds one tiny package, `tiny-1.0-py3-none-any.whl`."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    with zipfile.ZipFile(folder / "tiny-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("tiny/one.bin", b"the first file")
        archive.writestr("tiny/two.bin", b"the second file")
    return folder


@pytest.fixture
def tiny_manifest(shelf: Path) -> MakeManifest:
    """Makes manifests over the tiny package; any pinned value can be replaced."""

    def make(**changes: str) -> Manifest:
        wheel = (shelf / "tiny-1.0-py3-none-any.whl").read_bytes()
        values = {
            "wheel_sha": hashlib.sha256(wheel).hexdigest(),
            "one_sha": hashlib.sha256(b"the first file").hexdigest(),
            "two_version": "1",
        } | changes
        return parse(
            f"""
            schema_version = 1
            [[source]]
            name = "tiny"
            ecosystem = "pypi"
            package = "tiny"
            version = "1.0"
            file = "tiny-1.0-py3-none-any.whl"
            sha256 = "{values["wheel_sha"]}"
            size_bytes = {len(wheel)}
            licence = "Apache-2.0"
            [[product]]
            name = "one"
            version = "1"
            file = "one.bin"
            kind = "json"
            recipe = "copy"
            source = "tiny"
            members = ["tiny/one.bin"]
            sha256 = "{values["one_sha"]}"
            size_bytes = 14
            licence = "Apache-2.0"
            summary = "the first"
            [[product]]
            name = "two"
            version = "{values["two_version"]}"
            file = "clips/two.bin"
            kind = "json"
            recipe = "copy"
            source = "tiny"
            members = ["tiny/two.bin"]
            needs = ["one"]
            sha256 = "{hashlib.sha256(b"the second file").hexdigest()}"
            size_bytes = 15
            licence = "Apache-2.0"
            summary = "the second"
            """
        )

    return make


@pytest.fixture(scope="session")
def built() -> Iterator[Path]:
    """Folder of the real built files; skips where nobody built them, fails in CI."""
    folder = paths.default_out()
    if not (folder / "index.json").is_file():
        if os.environ.get("CI"):
            pytest.fail(f"no models in {folder}: CI builds them first")
        pytest.skip(f"no models in {folder}: run inyeon-models build")
    yield folder
