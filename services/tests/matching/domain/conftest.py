"""The compiled functions of the engine as the Python that they were compiled from."""

from __future__ import annotations

from types import ModuleType

import pytest

from inyeon.matching.domain import (
    bounding,
    fitting,
    graph,
    products,
    searching,
    solving,
    tasting,
    waves,
)

COMPILED: tuple[ModuleType, ...] = (
    bounding,
    fitting,
    graph,
    products,
    searching,
    solving,
    tasting,
    waves,
)


def run_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on nothing is compiled: slow, and seen line by line by who measures coverage."""
    for module in COMPILED:
        for name, value in vars(module).items():
            if hasattr(value, "py_func"):
                monkeypatch.setattr(module, name, value.py_func)


@pytest.fixture
def plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole test without compiled functions."""
    run_plain(monkeypatch)
