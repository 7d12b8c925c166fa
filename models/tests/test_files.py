from __future__ import annotations

from pathlib import Path

import pytest

from inyeon_models.errors import DigestMismatch
from inyeon_models.files import replacing, require_digest, sha256_of, sha256_of_bytes, write_bytes

pytestmark = pytest.mark.unit

_EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # FIPS 180-4


def test_the_digest_is_sha256(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"")
    assert sha256_of(path) == sha256_of_bytes(b"") == _EMPTY


def test_a_wrong_digest_names_the_file_and_both_digests(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(b"tampered")
    with pytest.raises(DigestMismatch) as caught:
        require_digest(path, _EMPTY)
    assert "model.tflite" in str(caught.value)
    assert _EMPTY in str(caught.value)
    assert sha256_of_bytes(b"tampered") in str(caught.value)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "sub" / "file"
    write_bytes(target, b"old")
    with pytest.raises(RuntimeError), replacing(target) as temporary:
        temporary.write_bytes(b"half of the n")
        raise RuntimeError("cut off")
    assert target.read_bytes() == b"old"
    assert [path.name for path in target.parent.iterdir()] == ["file"]


def test_a_written_file_is_readable_by_others(tmp_path: Path) -> None:
    write_bytes(tmp_path / "file", b"x")
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644
