"""pip and npm themselves, without a network."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from inyeon_models.errors import FetchError
from inyeon_models.fetch import PackageManagers
from inyeon_models.manifest import Manifest

pytestmark = pytest.mark.integration

MakeManifest = Callable[..., Manifest]


def test_pip_fetches_a_pinned_wheel(
    shelf: Path, tmp_path: Path, tiny_manifest: MakeManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    _without_network(monkeypatch, shelf)
    _make_installable(shelf)
    source = tiny_manifest().source_named("tiny")
    folder = tmp_path / "into"
    folder.mkdir()
    PackageManagers().download(source, folder)
    assert (folder / source.file).is_file()


def test_a_failing_package_manager_is_quoted(
    shelf: Path, tmp_path: Path, tiny_manifest: MakeManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    _without_network(monkeypatch, shelf)
    absent = tiny_manifest().source_named("tiny").model_copy(update={"version": "9.9"})
    with pytest.raises(FetchError, match=r"(?s)tiny 9.9: .*No matching distribution"):
        PackageManagers().download(absent, tmp_path)


def test_npm_packs_into_the_folder(
    tmp_path: Path, tiny_manifest: MakeManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "package.json").write_text('{"name": "small", "version": "1.0.0"}')
    local = (
        tiny_manifest()
        .source_named("tiny")
        .model_copy(update={"ecosystem": "npm", "package": "small", "version": f"file:{project}"})
    )
    folder = tmp_path / "into"
    folder.mkdir()
    PackageManagers().download(local.model_copy(update={"file": "small-1.0.0.tgz"}), folder)
    assert (folder / "small-1.0.0.tgz").is_file()


def test_a_package_manager_that_hangs_is_given_up(
    tmp_path: Path, tiny_manifest: MakeManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip = tmp_path / "pip"
    pip.mkdir()
    (pip / "__init__.py").touch()
    (pip / "__main__.py").write_text("import threading; threading.Event().wait()")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(FetchError, match="no answer within 1 s"):
        PackageManagers(timeout_s=1.0).download(tiny_manifest().source_named("tiny"), tmp_path)


def _without_network(monkeypatch: pytest.MonkeyPatch, shelf: Path) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))


def _make_installable(shelf: Path) -> None:

    with zipfile.ZipFile(shelf / "tiny-1.0-py3-none-any.whl", "a") as archive:
        info = "tiny-1.0.dist-info"
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
