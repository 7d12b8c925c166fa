from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from inyeon_models.archives import read_members
from inyeon_models.errors import SourceError

pytestmark = pytest.mark.unit


@pytest.fixture
def tarball(tmp_path: Path) -> Path:
    path = tmp_path / "p-1.tgz"
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo("package/a.js")
        info.size = 3
        archive.addfile(info, io.BytesIO(b"abc"))
        folder = tarfile.TarInfo("package/dir")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
    return path


def test_members_of_both_kinds_are_read(shelf: Path, tarball: Path) -> None:
    wheel = shelf / "tiny-1.0-py3-none-any.whl"
    assert read_members(wheel, ["tiny/two.bin"]) == {"tiny/two.bin": b"the second file"}
    assert read_members(tarball, ["package/a.js"]) == {"package/a.js": b"abc"}


def test_an_absent_member_is_named(shelf: Path, tarball: Path) -> None:
    with pytest.raises(SourceError, match=r"tiny-1.0.*three.bin"):
        read_members(shelf / "tiny-1.0-py3-none-any.whl", ["tiny/three.bin"])
    with pytest.raises(SourceError, match=r"p-1.tgz.*b.js"):
        read_members(tarball, ["package/b.js"])
    with pytest.raises(SourceError, match="is no file"):
        read_members(tarball, ["package/dir"])


def test_a_truncated_package_is_refused_by_name(shelf: Path, tarball: Path) -> None:
    for path, member in ((shelf / "tiny-1.0-py3-none-any.whl", "tiny/one.bin"), (tarball, "x")):
        path.write_bytes(path.read_bytes()[:40])
        with pytest.raises(SourceError, match=path.name):
            read_members(path, [member])
