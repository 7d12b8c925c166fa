from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from inyeon_models.build import Builder
from inyeon_models.fetch import Cache, FolderDownloads
from inyeon_models.manifest import Manifest
from inyeon_models.terminal import BarProgress

pytestmark = pytest.mark.unit


def test_a_build_is_shown(
    shelf: Path, tmp_path: Path, tiny_manifest: Callable[..., Manifest]
) -> None:
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=100)
    cache = Cache(tmp_path / "cache", FolderDownloads(shelf))
    for _ in range(2):
        with BarProgress(console) as progress:
            out = tmp_path / "out"
            Builder(tiny_manifest(), cache, out, tmp_path / "none", progress).run()
    assert text.getvalue().count("made one.bin") == 1
    assert "fetch tiny 1.0" in text.getvalue()
