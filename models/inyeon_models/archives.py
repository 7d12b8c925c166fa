"""Reads single members out of wheels (zip) and npm packages (gzipped tar), without unpacking."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from inyeon_models.errors import SourceError


def read_members(package: Path, members: Sequence[str]) -> dict[str, bytes]:
    """Bytes of each member by its path; raises SourceError where a part of that is not there."""
    read = _from_zip if package.suffix == ".whl" else _from_tar
    try:
        return read(package, members)
    except KeyError as error:
        raise SourceError(f"{package.name}: {error.args[0]}") from error
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError) as error:
        raise SourceError(f"{package.name}: cannot be read ({error})") from error


def _from_zip(package: Path, members: Sequence[str]) -> dict[str, bytes]:
    with zipfile.ZipFile(package) as archive:
        return {member: archive.read(member) for member in members}


def _from_tar(package: Path, members: Sequence[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    with tarfile.open(package, "r:gz") as archive:
        for member in members:
            stream = archive.extractfile(member)
            if stream is None:
                raise KeyError(f"{member} is no file")
            found[member] = stream.read()
    return found
