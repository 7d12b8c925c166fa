from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from inyeon_models import index
from inyeon_models.build import Builder, Built, Progress
from inyeon_models.errors import DigestMismatch, ManifestError
from inyeon_models.fetch import Cache, FolderDownloads
from inyeon_models.manifest import Manifest

pytestmark = pytest.mark.unit

MakeManifest = Callable[..., Manifest]


@pytest.fixture
def build(shelf: Path, tmp_path: Path, recorder: Progress) -> Callable[..., Built]:
    def run(manifest: Manifest, *only: str) -> Built:
        cache = Cache(tmp_path / "cache", FolderDownloads(shelf))
        builder = Builder(manifest, cache, tmp_path / "out", tmp_path / "none", recorder)
        return builder.run(only)

    return run


def test_a_build_writes_files_and_an_index_of_them(
    build: Callable[..., Built], tiny_manifest: MakeManifest, tmp_path: Path
) -> None:
    built = build(tiny_manifest())
    assert built.fresh == {"one", "two"}
    assert (tmp_path / "out" / "clips" / "two.bin").read_bytes() == b"the second file"
    document = json.loads((tmp_path / "out" / "index.json").read_text())
    assert document["schema_version"] == 1
    entry = document["files"][0]
    assert (entry["name"], entry["file"], entry["size_bytes"]) == ("one", "one.bin", 14)
    assert entry["licence"] == "Apache-2.0"
    assert entry["space"] is None


def test_a_second_build_touches_nothing_and_needs_no_package(
    build: Callable[..., Built], tiny_manifest: MakeManifest, shelf: Path, tmp_path: Path
) -> None:
    manifest = tiny_manifest()
    build(manifest)
    (tmp_path / "cache" / "tiny-1.0-py3-none-any.whl").unlink()
    for package in shelf.iterdir():
        package.unlink()
    before = (tmp_path / "out" / "one.bin").stat().st_mtime_ns
    assert build(manifest).fresh == frozenset()
    assert (tmp_path / "out" / "one.bin").stat().st_mtime_ns == before


@pytest.mark.parametrize("damage", [b"", b"the first fil", b"another content"])
def test_a_damaged_file_alone_is_made_anew(
    damage: bytes, build: Callable[..., Built], tiny_manifest: MakeManifest, tmp_path: Path
) -> None:
    build(tiny_manifest())
    (tmp_path / "out" / "one.bin").write_bytes(damage)
    assert build(tiny_manifest()).fresh == {"one"}
    assert (tmp_path / "out" / "one.bin").read_bytes() == b"the first file"


def test_an_absent_file_is_made_anew(
    build: Callable[..., Built], tiny_manifest: MakeManifest, tmp_path: Path
) -> None:
    build(tiny_manifest())
    (tmp_path / "out" / "one.bin").unlink()
    assert build(tiny_manifest()).fresh == {"one"}


def test_a_changed_entry_is_made_anew(
    build: Callable[..., Built], tiny_manifest: MakeManifest
) -> None:
    build(tiny_manifest())
    assert build(tiny_manifest(two_version="2")).fresh == {"two"}


def test_a_broken_index_makes_everything_anew(
    build: Callable[..., Built], tiny_manifest: MakeManifest, tmp_path: Path
) -> None:
    build(tiny_manifest())
    (tmp_path / "out" / "index.json").write_text("{")
    assert build(tiny_manifest()).fresh == {"one", "two"}


def test_only_brings_what_it_needs(
    build: Callable[..., Built], tiny_manifest: MakeManifest, tmp_path: Path
) -> None:
    assert [entry.name for entry in build(tiny_manifest(), "one").entries] == ["one"]
    assert not (tmp_path / "out" / "clips").exists()
    assert build(tiny_manifest(), "two").fresh == {"two"}
    assert set(index.read(tmp_path / "out")) == {"one", "two"}
    with pytest.raises(ManifestError, match="there are one, two"):
        build(tiny_manifest(), "three")


def test_a_copy_that_is_not_the_pinned_one_is_refused(
    build: Callable[..., Built], tiny_manifest: MakeManifest, tmp_path: Path
) -> None:
    with pytest.raises(DigestMismatch, match=r"one.bin: refused"):
        build(tiny_manifest(one_sha="0" * 64))
    assert not (tmp_path / "out" / "one.bin").exists()


def test_a_build_that_is_cut_off_continues(
    build: Callable[..., Built], tiny_manifest: MakeManifest, tmp_path: Path
) -> None:
    (tmp_path / "out" / "clips" / "two.bin").mkdir(parents=True)  # in the way: the write fails
    with pytest.raises(OSError, match=r"two.bin"):
        build(tiny_manifest())
    assert set(index.read(tmp_path / "out")) == {"one"}
    (tmp_path / "out" / "clips" / "two.bin").rmdir()
    assert build(tiny_manifest()).fresh == {"two"}


def test_the_terminal_hears_of_it(
    build: Callable[..., Built], tiny_manifest: MakeManifest, recorder: Progress
) -> None:
    build(tiny_manifest())
    assert vars(recorder) == {
        "fetched": ["tiny"],
        "making_files": ["one.bin", "clips/two.bin"],
        "fresh_files": {"one.bin": True, "clips/two.bin": True},
    }
