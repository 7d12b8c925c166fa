"""Makes every file of the manifest that is not up to date, in order, each one at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from inyeon_models import index
from inyeon_models.archives import read_members
from inyeon_models.errors import DigestMismatch
from inyeon_models.fetch import Cache
from inyeon_models.files import sha256_of, sha256_of_bytes, write_bytes
from inyeon_models.index import Entry
from inyeon_models.manifest import Manifest, Product, Source
from inyeon_models.recipes import Job, committed, fingerprint, make


class Progress(Protocol):
    """Hears what the build does; called from the build's thread only."""

    def fetching(self, source: Source, done_bytes: int) -> None:
        """So many bytes of a package are here; equals `source.size_bytes` at the end."""

    def making(self, product: Product) -> None:
        """A file is being made."""

    def made(self, entry: Entry, *, fresh: bool) -> None:
        """A file is in place; not `fresh` when it was up to date."""


@dataclass(frozen=True, slots=True)
class Built:
    """What a build left behind: entries in build order, and which of them are new."""

    entries: tuple[Entry, ...]
    fresh: frozenset[str]


class Builder:
    """One build into one folder. Not safe beside a second build into the same folder."""

    def __init__(
        self, manifest: Manifest, cache: Cache, folder: Path, phrases: Path, progress: Progress
    ) -> None:
        self._manifest = manifest
        self._cache = cache
        self._folder = folder
        self._phrases = phrases
        self._progress = progress
        self._packages: dict[str, Path] = {}

    def run(self, only: tuple[str, ...] = ()) -> Built:
        """Build all products, or the named ones and what they need.

        The index is replaced after every file, so a build that is cut off continues where it was.
        Raises the errors of this package; files made before stay valid.
        """
        entries = index.read(self._folder)
        products = self._manifest.closure(only)
        fresh: set[str] = set()
        for product in products:
            if self._step(product, entries):
                fresh.add(product.name)
        return Built(tuple(entries[product.name] for product in products), frozenset(fresh))

    def _step(self, product: Product, entries: dict[str, Entry]) -> bool:
        recipe = self._fingerprint(product, entries)
        known = entries.get(product.name)
        fresh = known is None or known.recipe != recipe or not self._intact(known)
        if fresh:
            entries[product.name] = self._make(product, recipe)
            self._save(entries)
        self._progress.made(entries[product.name], fresh=fresh)
        return fresh

    def _make(self, product: Product, recipe: str) -> Entry:
        self._progress.making(product)
        job = Job(product, self._members(product), self._folder, self._phrases)
        made = make(job)
        if product.sha256 is not None:
            actual = sha256_of_bytes(made.data)
            if actual != product.sha256:
                raise DigestMismatch(product.file, expected=product.sha256, actual=actual)
        path = self._folder / product.file
        write_bytes(path, made.data)
        return index.describe(product, path, recipe, made.space)

    def _members(self, product: Product) -> Mapping[str, bytes]:
        if product.source is None:
            return {name: committed(name).read_bytes() for name in product.members}
        source = self._manifest.source_named(product.source)
        if source.name not in self._packages:
            self._packages[source.name] = self._cache.obtain(
                source, lambda done: self._progress.fetching(source, done)
            )
        return read_members(self._packages[source.name], product.members)

    def _fingerprint(self, product: Product, entries: Mapping[str, Entry]) -> str:
        pinned = "" if product.source is None else self._source_digest(product.source)
        needs = {name: entries[name].sha256 for name in product.needs}
        return fingerprint(product, pinned, needs, self._phrases)

    def _source_digest(self, name: str) -> str:
        return self._manifest.source_named(name).sha256

    def _intact(self, entry: Entry) -> bool:
        try:
            return sha256_of(self._folder / entry.file) == entry.sha256
        except OSError:
            return False

    def _save(self, entries: Mapping[str, Entry]) -> None:
        order = [product.name for product in self._manifest.product]
        index.write(self._folder, [entries[name] for name in order if name in entries])
