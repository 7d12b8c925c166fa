from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from inyeon_models.errors import DigestMismatch, FetchError
from inyeon_models.fetch import Cache, FolderDownloads
from inyeon_models.manifest import Manifest, Source

pytestmark = pytest.mark.unit

MakeManifest = Callable[..., Manifest]


class _Counting:
    """Twin of the package managers that counts and may hand out something else."""

    def __init__(self, content: bytes | None, shelf: Path) -> None:
        self.calls = 0
        self._content = content
        self._shelf = FolderDownloads(shelf)

    def download(self, source: Source, folder: Path) -> None:
        self.calls += 1
        if self._content is None:
            self._shelf.download(source, folder)
        else:
            (folder / source.file).write_bytes(self._content)


def test_a_package_is_fetched_once(
    shelf: Path, tmp_path: Path, tiny_manifest: MakeManifest
) -> None:
    source = tiny_manifest().source_named("tiny")
    downloads = _Counting(None, shelf)
    cache = Cache(tmp_path / "cache", downloads)
    assert not cache.holds(source)
    first = cache.obtain(source)
    second = cache.obtain(source)
    assert first == second
    assert downloads.calls == 1
    assert cache.holds(source)


@pytest.mark.parametrize("content", [b"", b"PK truncated", b"tampered" * 99])
def test_a_broken_download_is_refused_by_name_with_both_digests(
    content: bytes, shelf: Path, tmp_path: Path, tiny_manifest: MakeManifest
) -> None:
    source = tiny_manifest().source_named("tiny")
    cache = Cache(tmp_path / "cache", _Counting(content, shelf))
    with pytest.raises(DigestMismatch) as caught:
        cache.obtain(source)
    assert source.file in str(caught.value)
    assert source.sha256 == caught.value.expected
    assert caught.value.actual in str(caught.value)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cached_file_that_was_changed_is_fetched_again(
    shelf: Path, tmp_path: Path, tiny_manifest: MakeManifest
) -> None:
    source = tiny_manifest().source_named("tiny")
    downloads = _Counting(None, shelf)
    cache = Cache(tmp_path / "cache", downloads)
    path = cache.obtain(source)
    path.write_bytes(path.read_bytes()[:-1])
    assert cache.obtain(source).read_bytes() == (shelf / source.file).read_bytes()
    assert downloads.calls == 2


def test_progress_follows_the_bytes_on_disk(
    shelf: Path, tmp_path: Path, tiny_manifest: MakeManifest
) -> None:
    source = tiny_manifest().source_named("tiny")
    seen: list[int] = []
    heard = threading.Event()

    class Slow(FolderDownloads):
        def download(self, source: Source, folder: Path) -> None:
            (folder / "part").mkdir()
            (folder / "part" / "download").write_bytes(bytes(10))
            assert heard.wait(10.0)
            super().download(source, folder)

    def on_bytes(done: int) -> None:
        seen.append(done)
        if done == 10:
            heard.set()

    Cache(tmp_path / "cache", Slow(shelf)).obtain(source, on_bytes)
    assert 10 in seen
    assert seen[-1] == source.size_bytes


def test_an_absent_package_is_named(tmp_path: Path, tiny_manifest: MakeManifest) -> None:
    with pytest.raises(FetchError, match=r"tiny 1.0"):
        Cache(tmp_path, FolderDownloads(tmp_path)).obtain(tiny_manifest().source_named("tiny"))
